#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <deque>
#include <string>

#include "controlplane/api/object.h"
#include "controlplane/status/rate_limit.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane::status {

// Something that people should see with `kubectl describe` and `kubectl get events`.
struct Occurrence {
  api::ObjectKey object;
  std::string api_version;  // Of the object.
  std::string uid;
  bool warning = false;
  std::string reason;  // One word.
  std::string note;
};

// The name that an Event about this always has, so that saying it again counts instead of adding:
// also by another controller, and after a restart.
std::string EventName(const Occurrence& occurrence);

// Writes Events (events.k8s.io/v1). Some get lost: when there are too many at a time, when the API
// server does not take them, and when somebody else leads meanwhile. They are never what anything
// rests on. One loop's.
class EventRecorder {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    std::string instance;
    metrics::Registry& registry;
    absl::AnyInvocable<bool()> may_write;
  };
  explicit EventRecorder(Parts parts);

  void Record(Occurrence occurrence);
  // Until stopped.
  Task<void> Run(StopToken stop);
  size_t waiting() const { return queue_.size(); }

 private:
  Task<void> Write(Occurrence occurrence, StopToken stop);
  Task<bool> Create(const Occurrence& occurrence, const std::string& collection, StopToken stop);
  Task<void> CountAgain(const Occurrence& occurrence, const std::string& collection,
                        StopToken stop);

  Parts parts_;
  RateLimit limit_;
  std::deque<Occurrence> queue_;
  WaitQueue added_;
  absl::flat_hash_map<std::string, int> counts_;  // By name: how often we said it.
  bool trouble_said_ = false;
  metrics::Counter written_;
  metrics::Counter failed_;
  metrics::Counter dropped_;
};

}  // namespace heddle::controlplane::status
