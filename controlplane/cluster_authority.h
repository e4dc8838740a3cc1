#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>

#include "controlplane/ca/certificate_authority.h"
#include "controlplane/ca/root_rotation.h"
#include "lib/base/backoff.h"
#include "lib/base/random.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// Gives the authority its keys from a Secret that all controllers of a cluster share, and tells
// agents by a ConfigMap what to trust.
//
//   Secret heddle-ca -- watched --> authority (keys of this time, see root_rotation.h)
//       ^  made when there is none, and no heddle-root either; a rotation's steps, only over the
//       |  version that was read
//   ConfigMap heddle-root <-- applied whenever it says something else
//
// Controllers need not agree on who writes: each computes the same from the Secret and its clock,
// and of two writes over one version the API server takes one. A Secret that is of no use leaves the
// last good one in force, as does one that is deleted: it is made again. Where no controller has it
// any more while heddle-root still says what agents trust, nothing is made: a new root would cut the
// mesh in two. Somebody brings the Secret back, or deletes the ConfigMap, too. One loop's.
class ClusterAuthority {
 public:
  // All outlive this.
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    Random& random;
    std::string name_space;
    ca::CertificateAuthority& authority;
    metrics::Registry& registry;
  };
  explicit ClusterAuthority(Parts parts);
  ~ClusterAuthority();

  // Follows both until stopped. Once.
  Task<void> Run(StopToken stop);
  // Waits until the authority has keys. False when stopped before.
  Task<bool> Ready(StopToken stop) { co_return co_await ready_.Wait(stop); }
  // What keeps it from following or writing, a sentence; empty when nothing does.
  const std::string& trouble() const { return trouble_; }

 private:
  class Follower;

  Task<absl::Status> Reconcile(StopToken stop);
  Task<absl::Status> CreateSecret(StopToken stop);
  Task<absl::Status> CheckNoOtherRootIsTrusted(StopToken stop);
  Task<absl::Status> AdvanceRotation(StopToken stop);
  Task<absl::Status> ApplyRoots(StopToken stop);
  Task<absl::Status> Write(kube::ApiRequest request, StopToken stop);
  absl::Status Adopt();
  void Use(ca::AuthorityKeys keys, ca::RotationPhase phase);
  void Note(const absl::Status& status);
  std::string Collection(const char* plural) const;

  const Parts parts_;
  Event changed_;
  Event ready_;
  std::unique_ptr<Follower> secret_;
  std::unique_ptr<Follower> roots_;
  ca::StoredRoots stored_;  // The last good ones.
  std::optional<ca::RotationPhase> phase_;
  MonotonicTime apply_again_;
  // Since when there is what agents trust, and no Secret.
  std::optional<MonotonicTime> lost_since_;
  Backoff backoff_;
  std::string trouble_ = "the Secret heddle-ca has not been read yet";
  metrics::Counter failures_;
  metrics::Gauge phase_now_;
  metrics::Gauge expires_;
};

}  // namespace heddle::controlplane
