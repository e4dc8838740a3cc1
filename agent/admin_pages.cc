#include "agent/admin_pages.h"

#include <absl/strings/str_cat.h>

#include "lib/metrics/registry.h"

namespace heddle::agent {
namespace {

constexpr char kIndex[] =
    "Heddle agent. Read-only pages:\n"
    "  /config_dump         workloads, services, policies, certificates, pods and connections\n"
    "  /debug/status        this agent\n"
    "  /debug/pods          pods captured on this node, and those that should be\n"
    "  /debug/connections   connections being served\n"
    "  /debug/policies      authorization policies held\n"
    "  /debug/certificates  certificates of this node's identities\n";

http::Http1Response Json(std::string body) {
  return {.status = 200, .content_type = "application/json", .body = std::move(body)};
}

http::Http1Response Text(int status, std::string body) {
  http::Http1Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace

Task<http::Http1Response> AdminPages::ConfigDump() {
  const std::vector<ConnectionDump> connections = co_await sources_.connections();
  const StateRef state = sources_.state();
  const auto certificates = sources_.certificates();
  co_return Json(ConfigDumpJson(state == nullptr ? State() : *state, *certificates, sources_.pods(),
                                connections, sources_.config_json, sources_.now()));
}

Task<http::Http1Response> AdminPages::Admin(http::Http1Request request) {
  if (request.method != "GET") co_return Text(405, "this port is read-only\n");
  if (request.path == "/") co_return Text(200, kIndex);
  if (request.path == "/config_dump") co_return co_await ConfigDump();
  if (request.path == "/debug/status")
    co_return Json(StatusJson(sources_.status(), sources_.pods(), sources_.uncaptured()));
  if (request.path == "/debug/pods")
    co_return Json(PodsJson(sources_.pods(), sources_.uncaptured()));
  if (request.path == "/debug/connections") {
    const std::vector<ConnectionDump> connections = co_await sources_.connections();
    co_return Json(ConnectionsJson(connections));
  }
  if (request.path == "/debug/policies") {
    const StateRef state = sources_.state();
    co_return Json(PoliciesJson(state == nullptr ? State() : *state));
  }
  if (request.path == "/debug/certificates") {
    co_return Json(CertificatesJson(*sources_.certificates(), sources_.now()));
  }
  co_return Text(404, absl::StrCat("no such page; see /\n"));
}

Task<http::Http1Response> AdminPages::Metrics(http::Http1Request request) {
  if (request.method != "GET") co_return Text(405, "only GET\n");
  if (request.path != "/metrics" && request.path != "/stats/prometheus")
    co_return Text(404, "see /metrics\n");
  co_return http::Http1Response{.status = 200,
                                .content_type = std::string(metrics::Registry::kContentType),
                                .body = sources_.metrics()};
}

Task<http::Http1Response> AdminPages::Ready(http::Http1Request request) {
  if (request.path != "/healthz/ready") co_return Text(404, "see /healthz/ready\n");
  const AgentStatus status = sources_.status();
  co_return status.ready
      ? Text(200, "ready\n")
      : Text(500, absl::StrCat("not ready, pending: ", status.not_ready_because, "\n"));
}

}  // namespace heddle::agent
