#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>

#include <string>

#include "controlplane/status/election.h"
#include "lib/base/random.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane::status {

// Takes part in the election by the Lease heddle-controller in our namespace: moves bytes between an
// API server and an Election. One loop's.
class LeaderElection {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    Random& random;
    std::string name_space;
    std::string identity;
    metrics::Registry& registry;
    ElectionTimes times = {};
  };
  explicit LeaderElection(Parts parts);

  // Until stopped; then gives the Lease up, so that the next one takes it at once. Once.
  Task<void> Run(StopToken stop);

  // Ask before each write, and give it up within kLeaderWriteTimeout: by then nobody else leads.
  bool leads() const { return election_.leads(parts_.loop.Now()); }
  std::string holder() const { return election_.holder(); }
  // What keeps us from taking part; empty when nothing does.
  const std::string& trouble() const { return trouble_; }
  // Called when it begins to lead. That it leads no more comes by time: ask leads().
  void OnLead(absl::AnyInvocable<void()> listener) { on_lead_ = std::move(listener); }

 private:
  Task<void> Try(StopToken stop);
  Task<absl::Status> Read(StopToken stop);
  Task<absl::Status> Write(Lease bid, StopToken stop);
  Task<void> GiveUp();
  void Note(const absl::Status& result);
  std::string Path() const;

  Parts parts_;
  Election election_;
  std::string trouble_;
  bool led_ = false;
  absl::AnyInvocable<void()> on_lead_;
  metrics::Gauge leads_;
  metrics::Counter transitions_;
};

// Less than lies between the end of our leading and the earliest begin of another's.
inline constexpr absl::Duration kLeaderWriteTimeout = absl::Seconds(4);

}  // namespace heddle::controlplane::status
