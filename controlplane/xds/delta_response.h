#pragma once

#include <string>
#include <vector>

#include "controlplane/xds/published_state.h"
#include "controlplane/xds/snapshot.h"
#include "lib/grpc/message_pieces.h"
#include "proto/discovery.pb.h"

namespace heddle::controlplane::xds {

// A DeltaDiscoveryResponse whose resources are copied from their encoded form while it is sent: what
// one on its way holds is a piece, however large the mesh is and however many subscribers begin at
// once.
class DeltaResponse final : public grpc::MessagePieces {
 public:
  using Head = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // `head` has all but the resources.
  DeltaResponse(ResourceType type, const Head& head, std::vector<ResourcePtr> changed);
  // With all resources of a snapshot.
  DeltaResponse(ResourceType type, const Head& head, SnapshotPtr whole);

  ResourceType type() const { return type_; }
  size_t changed() const { return whole_ == nullptr ? changed_.size() : whole_->size(); }
  size_t removed() const { return removed_; }

  size_t size() const override { return size_; }
  void AppendNext(std::string& out) override;

 private:
  // The next resource to be sent; null at the end.
  const EncodedResource* Current() const;
  void Advance();

  const ResourceType type_;
  const size_t removed_;
  std::string head_;
  std::vector<ResourcePtr> changed_;
  size_t next_changed_ = 0;
  SnapshotPtr whole_;  // Null: `changed_` has the resources.
  SnapshotCursor cursor_;
  size_t size_ = 0;
};

}  // namespace heddle::controlplane::xds
