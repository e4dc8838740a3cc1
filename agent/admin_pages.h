#pragma once

#include <absl/functional/any_invocable.h>

#include <string>
#include <vector>

#include "agent/admin/dump.h"
#include "lib/base/task.h"
#include "lib/http/http1_message.h"

namespace heddle::agent {

// What the pages are made from; all of it is asked anew for each request, on the control loop.
struct AdminSources {
  absl::AnyInvocable<StateRef()> state;
  absl::AnyInvocable<std::shared_ptr<const Certificates>()> certificates;
  absl::AnyInvocable<std::vector<PodStatus>()> pods;
  absl::AnyInvocable<std::vector<UncapturedPod>()> uncaptured;
  absl::AnyInvocable<Task<std::vector<ConnectionDump>>()> connections;
  absl::AnyInvocable<AgentStatus()> status;
  absl::AnyInvocable<absl::Time()> now;
  absl::AnyInvocable<std::string()> metrics;  // The exposition's text.
  std::string config_json;
};

// The read-only admin port (15000 and admin.sock), the metrics port and the readiness port.
class AdminPages {
 public:
  explicit AdminPages(AdminSources sources) : sources_(std::move(sources)) {}
  Task<http::Http1Response> Admin(http::Http1Request request);
  Task<http::Http1Response> Metrics(http::Http1Request request);
  Task<http::Http1Response> Ready(http::Http1Request request);

 private:
  Task<http::Http1Response> ConfigDump();
  AdminSources sources_;
};

}  // namespace heddle::agent
