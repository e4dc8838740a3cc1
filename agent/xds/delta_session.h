#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/state_builder.h"
#include "agent/xds/held_resources.h"
#include "agent/xds/state_store.h"
#include "proto/discovery.pb.h"

// The agent's half of delta ADS without the network (ambient-wire.md sections 3.1 and 3.2): requests out, responses
// in, states out. Inputs: DeltaDiscoveryResponse messages, or the state restored from disk. Outputs: requests to
// send, and one State for each response. Threads: one at a time, the control thread once it was restored. Limits:
// kMaxNackBytes here, kMaxResourcesPerKind in the state, the size of a message in the gRPC client.
namespace heddle::agent {

// Longest text of a NACK; further refusals are counted in it, not named.
inline constexpr size_t kMaxNackBytes = 4096;

// Who subscribes: istiod keys on the form of the id (ambient-wire.md section 3.1).
struct NodeDescription {
  std::string id;  // "ztunnel~<ip>~<pod>.<namespace>~<namespace>.svc.cluster.local".
  std::vector<std::pair<std::string, std::string>> metadata;  // "NODE_NAME", "CLUSTER_ID"...
};

class DeltaSession {
 public:
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // What a response came to.
  struct Outcome {
    Request
        reply;  // ACK, or NACK that names the refused resources. Drop it if the stream has ended meanwhile.
    StateRef state;  // The new root; nullptr if nothing changed.
    size_t applied = 0;
    size_t removed = 0;
    std::vector<std::string> refused;  // "name: reason".
  };

  // Subscribes to everything of these kinds (a control plane other than ours knows no NodePod). The builder
  // outlives it.
  DeltaSession(StateBuilder& builder, NodeDescription node, std::vector<ResourceKind> kinds);

  // The requests that open a stream, one per kind, to be sent without waiting. With what is held, so that only
  // differences are sent to us.
  std::vector<Request> Open() const;

  // Takes one response; then Advance() until it is true, then Finish(). In steps, because a cold set has more
  // resources than fit in one turn of a loop. Once begun it is brought to its end even if the stream is lost: no
  // response is half applied.
  void Begin(Response response);
  // Applies up to `resources_max` resources; true when all are.
  bool Advance(size_t resources_max);
  Outcome Finish();
  // All three.
  Outcome Handle(Response response);

  // From disk, before the first stream. Returns the new state; what is not good any more is left out (policies:
  // refused). A second thread helps with a large one.
  StateRef Restore(const StateView& stored);
  // The other half of it, before anything else is asked of the session: what of it is held. Apart, because connections
  // need the state and not this, and with a hundred thousand workloads it takes a tenth of a second.
  void HoldRestored(const StateView& stored);

  // As of the last whole response: a copy may go to another thread, also while the next one is being applied.
  const HeldResources& held() const { return whole_; }

 private:
  // One response on its way.
  struct Batch {
    explicit Batch(Response&& received)
        : response(std::move(received)), kind(KindOf(response.type_url())) {}

    Response response;
    std::optional<ResourceKind> kind;
    int next_resource = 0;
    int next_removal = 0;
    Outcome outcome;
  };

  HeldKind& Held(ResourceKind kind) { return held_[static_cast<size_t>(kind)]; }
  void Apply(ResourceKind kind, const envoy::service::discovery::v3::Resource& resource);
  void Remove(ResourceKind kind, const std::string& name);
  absl::Status Put(ResourceKind kind, std::string_view name, std::string_view value);
  void Hold(ResourceKind kind, const std::string& name, HeldResource resource);
  void RestoreAddresses(const KindView& from);
  void RestoreEach(ResourceKind kind, const KindView& from);
  void EndEdit();
  std::string NackText() const;

  StateBuilder& builder_;
  const NodeDescription node_;
  const std::vector<ResourceKind> kinds_;
  HeldResources held_;   // With what the running batch has changed so far.
  HeldResources whole_;  // Shares with held_ all that the running batch has not touched.
  EditId edit_ = 1;
  std::optional<Batch> batch_;
  // Restored and not good any more: asked for again, whatever their versions were.
  std::vector<std::pair<ResourceKind, std::string>> refused_;
};

}  // namespace heddle::agent
