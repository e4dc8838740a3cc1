#pragma once

#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/xds/delta_response.h"
#include "controlplane/xds/published_state.h"
#include "proto/discovery.pb.h"

namespace heddle::controlplane::xds {

// The server's side of one delta ADS stream (envoy.service.discovery.v3, DeltaAggregatedResources)
// without any I/O: requests in, responses out. Subscriptions are wildcards; which node pods they
// cover is decided by `node`, the name that the subscriber proved.
//
//   - The first response of a type holds only what differs from the versions that the first request
//   lists, and is sent even
//     if nothing does: the subscriber waits for it.
//   - One response of a type is under way at a time. What changes meanwhile goes together into the
//   next one, as soon as the
//     subscriber has acknowledged or refused the last. A subscriber that does neither is sent
//     nothing more.
//   - A refusal (NACK) is counted and otherwise like an acknowledgement: the subscriber has kept
//   what was good.
//   - A policy reaches the subscriber before the first workload that names it and leaves after the
//   last one, because an
//     unknown policy denies.
//
// Belongs to one thread. Memory: snapshots that are shared, and once the list of versions that the
// subscriber holds.
class DeltaSubscriber {
 public:
  struct Counts {
    uint64_t responses = 0;
    uint64_t refused = 0;
    uint64_t stale = 0;          // Requests with another nonce than the last.
    uint64_t unknown_types = 0;  // Requests for types that are not served; they get no answer.
  };

  // `state` outlives the subscriber.
  DeltaSubscriber(std::string node, const PublishedState& state)
      : node_(std::move(node)), state_(state) {}

  // An error ends the stream.
  absl::Status OnRequest(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);
  // What is to be sent now; call until it is empty, after each request and after each Publish.
  std::optional<DeltaResponse> Next();

  const std::string& node() const { return node_; }
  const Counts& counts() const { return counts_; }
  // What the last refusal said, shortened; empty if there was none.
  const std::string& last_refusal() const { return last_refusal_; }
  // True if all that is subscribed is sent and acknowledged.
  bool InSync() const;
  // The same, and all types are subscribed: whatever there is, the node has it.
  bool HoldsEverything() const;

 private:
  struct Subscription {
    bool active = false;
    std::string nonce;  // Of the response under way; empty if there is none.
    // What the subscriber holds before the first response; afterwards `sent` counts.
    std::optional<std::map<std::string, std::string>> held;
    SnapshotPtr sent;
    SnapshotPtr
        offered;  // The snapshot whose changes are all sent; removals may still be withheld.

    bool under_way() const { return !nonce.empty(); }
  };

  Subscription& Of(ResourceType type) { return subscriptions_[static_cast<size_t>(type)]; }
  const Subscription& Of(ResourceType type) const {
    return subscriptions_[static_cast<size_t>(type)];
  }
  absl::Status Subscribe(Subscription& subscription,
                         const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);
  bool UpToDate(ResourceType type) const;
  bool MustWait(ResourceType type) const;
  std::optional<DeltaResponse> NextOf(ResourceType type);
  DeltaResponse Everything(ResourceType type, const SnapshotPtr& current);
  // Begins a response.
  DeltaResponse::Head MakeHead(ResourceType type, const std::vector<std::string>& removed);

  const std::string node_;
  const PublishedState& state_;
  std::array<Subscription, kResourceTypes> subscriptions_;
  uint64_t next_nonce_ = 1;
  Counts counts_;
  std::string last_refusal_;
};

}  // namespace heddle::controlplane::xds
