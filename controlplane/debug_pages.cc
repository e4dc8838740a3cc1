#include "controlplane/debug_pages.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <set>

#include "controlplane/status/status_table.h"
#include "lib/base/version.h"

namespace heddle::controlplane {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kJson[] = "application/json";

Json PodJson(const ReportedPod& pod) {
  Json json;
  json["namespace"] = pod.name_space;
  json["name"] = pod.name;
  json["uid"] = pod.uid;
  json["addresses"] = Json::array();
  for (const io::IpAddress& address : pod.addresses)
    json["addresses"].push_back(address.ToString());
  json["how"] = pod.how;
  json["capturedSince"] =
      absl::FormatTime(absl::RFC3339_sec, pod.captured_since, absl::UTCTimeZone());
  return json;
}

}  // namespace

// Nodes that there are, and nodes that are connected without there being an object of theirs.
std::string DebugPages::Nodes() const {
  std::set<std::string> names;
  for (const auto& [name, node] : sources_.mesh.objects().All<api::Node>()) names.insert(name.name);
  const auto& connected = sources_.discovery.connected();
  for (const auto& [name, agent] : connected) names.insert(name);
  Json nodes = Json::array();
  for (const std::string& name : names) {
    Json node;
    node["node"] = name;
    const auto agent = connected.find(name);
    node["connected"] = agent != connected.end();
    node["agentVersion"] = agent == connected.end() ? "" : agent->second.agent_version;
    node["controllerVersion"] = agent == connected.end() ? "" : kVersion;
    node["pods"] = Json::array();
    for (const ReportedPod& pod : sources_.mesh.reports().PodsOf(name)) {
      if (sources_.mesh.IsBound(name, pod.uid)) node["pods"].push_back(PodJson(pod));
    }
    nodes.push_back(std::move(node));
  }
  // What an agent reports is bytes to us, which need not be UTF-8.
  return absl::StrCat(nodes.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

std::string DebugPages::Resources() const {
  const xds::PublishedState& published = sources_.mesh.published();
  const auto versions = [&published](xds::ResourceType type, const std::string& node) {
    Json json = Json::object();
    published.Get(type, node)->ForEach([&json](const xds::ResourcePtr& resource) {
      json[std::string(resource->name())] = resource->version();
    });
    return json;
  };
  Json json;
  json["addresses"] = versions(xds::ResourceType::kAddress, "");
  json["authorizations"] = versions(xds::ResourceType::kAuthorization, "");
  json["nodePods"] = Json::object();
  for (const auto& [name, node] : sources_.mesh.objects().All<api::Node>())
    json["nodePods"][name.name] = versions(xds::ResourceType::kNodePod, name.name);
  return absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

http::Http1Response DebugPages::Page(const std::string& path) const {
  if (path == "/healthz/ready") {
    if (ready_) return {.body = "ready\n"};
    const std::string trouble = sources_.trouble();
    return {.status = 503,
            .body = absl::StrCat("not ready: ", trouble.empty() ? "starting or stopping" : trouble,
                                 "\n")};
  }
  if (path == "/metrics") {
    return {.content_type = std::string(metrics::Registry::kContentType),
            .body = sources_.registry.Expose()};
  }
  if (path == "/debug/nodes") return {.content_type = kJson, .body = Nodes()};
  if (path == "/debug/resources") return {.content_type = kJson, .body = Resources()};
  if (path == "/debug/objects") {
    const auto rows =
        status::StatusRows(sources_.mesh.problems(), sources_.mesh.published().statuses());
    return {.content_type = kJson, .body = absl::StrCat(status::ToJson(rows), "\n")};
  }
  if (path == "/debug/removal") {
    Json json = Json::object();
    for (const auto& [key, value] : sources_.mesh.removal().Record()) json[key] = value;
    return {.content_type = kJson,
            .body = absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n")};
  }
  if (path == "/debug/leader") {
    std::string leader = sources_.leader();
    if (!leader.empty()) return {.content_type = kJson, .body = std::move(leader)};
    return {.status = 404, .body = "there is no leader without --source kubernetes\n"};
  }
  if (path == "/config_dump") {
    return {.content_type = kJson, .body = absl::StrCat(sources_.config_json, "\n")};
  }
  return {.status = 404,
          .body =
              "there are /healthz/ready, /metrics, /debug/nodes, /debug/objects, "
              "/debug/removal, /debug/resources, /debug/leader and /config_dump\n"};
}

Task<http::Http1Response> DebugPages::Answer(http::Http1Request request) {
  if (request.method != "GET")
    co_return http::Http1Response{.status = 405, .body = "this port only answers GET\n"};
  co_return Page(request.path);
}

}  // namespace heddle::controlplane
