#pragma once

#include <absl/functional/any_invocable.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controlplane/api/object.h"
#include "controlplane/status/condition.h"
#include "controlplane/status/event_recorder.h"
#include "controlplane/status/rate_limit.h"
#include "lib/base/random.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/base/backoff.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane::status {

// Brings what objects say of us in line with what should be said, and nothing else.
//
//   watch ------> SetPresent --+
//                              +-- differ? --> queue --> rate limit --> write
//   verdicts ---> SetWanted ---+
//
// What is written comes back by the watch, so that a start writes only what differs. Policies are
// written by server-side apply without force: where another manager owns status.conditions, as istiod
// does when it writes into Istio's kinds, whose list is one value, the answer is 409, and Events are
// all that is said until the object changes. A pod's condition is of our own type in a list with
// keys. Policies come before pods. One write at a time; what changed meanwhile is in the next. Only
// may_write() lets anything out. One loop's.
class StatusWriter {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    Random& random;
    EventRecorder& events;
    metrics::Registry& registry;
    absl::AnyInvocable<bool()> may_write;
  };
  explicit StatusWriter(Parts parts);

  // What an object has now, and that it is gone.
  void SetPresent(const api::ObjectKey& key, PresentStatus present);
  void Forget(const api::ObjectKey& key);
  // What a policy should say; its generation is filled in here. The first condition is the one that
  // Events tell about. What the watch has not told of is left alone.
  void SetWanted(const api::ObjectKey& key, std::vector<Condition> wanted);
  // The same for the pod with this uid.
  void SetPodWanted(const api::NamespacedName& name, const std::string& uid, Condition wanted);
  // Pods among these, and no others, may keep a condition of ours.
  void RetainPods(const std::set<api::NamespacedName>& pods);
  // Every object that differs is looked at: somebody leads now.
  void Recheck();

  // Writes until stopped.
  Task<void> Run(StopToken stop);

  // Objects that wait to be written.
  size_t waiting() const { return policies_.size() + pods_.size(); }
  // What the API server refused last; empty after a write that it took.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Item {
    bool is_present = false;
    bool is_wanted = false;
    bool queued = false;
    int failures = 0;
    MonotonicTime not_before;  // After a refusal.
    MonotonicTime written_at;
    PresentStatus present;
    std::vector<Condition> wanted;
    std::string told;  // What Events said last of it.
    bool told_bad = false;
  };
  using Items = std::map<api::ObjectKey, Item>;

  static std::vector<Condition> WantedNow(const api::ObjectKey& key, const Item& item);
  static bool Differs(const api::ObjectKey& key, const Item& item);
  void Want(const api::ObjectKey& key, Item& item, std::vector<Condition> wanted);
  void Consider(const api::ObjectKey& key, Item& item);
  bool Next(api::ObjectKey& key);
  Task<void> Write(api::ObjectKey key, StopToken stop);
  void Tell(const api::ObjectKey& key, Item& item);
  void Failed(const api::ObjectKey& key, Item& item, const absl::Status& why);
  Task<void> Revisit(StopToken stop);

  Parts parts_;
  Items items_;
  std::set<api::ObjectKey> held_;  // Differ, but their time has not come.
  std::deque<api::ObjectKey> policies_;
  std::deque<api::ObjectKey> pods_;
  WaitQueue queued_;
  RateLimit limit_;
  std::string trouble_;
  metrics::Counter written_;
  metrics::Counter conflicts_;
  metrics::Counter failed_;
  metrics::Gauge waiting_;
};

// "security.istio.io/v1" of "/apis/security.istio.io/v1/authorizationpolicies".
std::string ApiVersionOf(const std::string& collection);
// The request that makes an object say this.
kube::ApiRequest StatusRequest(const api::ObjectKey& key, const PresentStatus& present,
                               const std::vector<Condition>& conditions);

}  // namespace heddle::controlplane::status
