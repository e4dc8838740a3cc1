// What is sent to make an object say something: a pod by a patch that knows the keys of its list, others
// by server-side apply.

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "controlplane/status/status_writer.h"
#include "lib/base/strings.h"
#include "lib/kube/write_request.h"

namespace heddle::controlplane::status {
namespace {

using Json = nlohmann::json;

constexpr char kFieldManager[] = "heddle-controller";

// "/apis/security.istio.io/v1/authorizationpolicies": what the object's apiVersion is, and its
// objects' path.
struct Collection {
  std::string api_version;
  std::string prefix;  // "/apis/security.istio.io/v1"
  std::string plural;
};
Collection Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  Collection collection{.prefix = path.substr(0, slash), .plural = path.substr(slash + 1)};
  std::string_view version = collection.prefix;
  if (!version.starts_with("/apis/")) return collection.api_version = "v1", collection;
  version.remove_prefix(std::string_view("/apis/").size());
  collection.api_version = version;
  return collection;
}

Json ToJson(const Condition& condition, bool with_generation) {
  Json json = {{"type", condition.type},
               {"status", condition.holds ? "True" : "False"},
               {"reason", condition.reason},
               {"message", condition.message},
               {"lastTransitionTime", condition.last_transition}};
  if (with_generation) json["observedGeneration"] = condition.observed_generation;
  return json;
}

}  // namespace

std::string ApiVersionOf(const std::string& collection) { return Split(collection).api_version; }

kube::ApiRequest StatusRequest(const api::ObjectKey& key, const PresentStatus& present,
                               const std::vector<Condition>& conditions) {
  const Collection collection = Split(present.collection);
  const std::string path = absl::StrCat(collection.prefix, "/namespaces/", key.name.name_space, "/",
                                        collection.plural, "/", key.name.name, "/status");
  const bool pod = key.kind == api::Kind::kPod;
  Json list = Json::array();
  for (const Condition& condition : conditions) list.push_back(ToJson(condition, !pod));
  if (pod && conditions.empty()) list.push_back({{"$patch", "delete"}, {"type", kCaptured}});
  // With the uid, or it could be another object of the same name.
  Json object = {{"metadata", {{"uid", present.uid}}}, {"status", {{"conditions", list}}}};
  const auto dump = [&object] {
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (pod) return kube::StrategicPatchRequest(path, dump(), kFieldManager);
  object["apiVersion"] = collection.api_version;
  object["kind"] = std::string(api::ToString(key.kind));
  object["metadata"]["name"] = key.name.name;
  object["metadata"]["namespace"] = key.name.name_space;
  return kube::ApplyRequest(path, dump(), kFieldManager, kube::Conflicts::kRefuse);
}

}  // namespace heddle::controlplane::status
