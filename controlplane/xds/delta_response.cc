#include "controlplane/xds/delta_response.h"

#include <utility>

namespace heddle::controlplane::xds {
namespace {

// A few TLS records; small enough for the second level of any cache.
constexpr size_t kPieceBytes = 64 * 1024;

}  // namespace

DeltaResponse::DeltaResponse(ResourceType type, const Head& head, std::vector<ResourcePtr> changed)
    : type_(type),
      removed_(static_cast<size_t>(head.removed_resources_size())),
      head_(head.SerializeAsString()),
      changed_(std::move(changed)),
      cursor_(*Snapshot::Empty()),
      size_(head_.size()) {
  for (const ResourcePtr& resource : changed_) size_ += resource->wire_size();
}

DeltaResponse::DeltaResponse(ResourceType type, const Head& head, SnapshotPtr whole)
    : type_(type),
      removed_(static_cast<size_t>(head.removed_resources_size())),
      head_(head.SerializeAsString()),
      whole_(std::move(whole)),
      cursor_(*whole_),
      size_(head_.size() + whole_->wire_bytes()) {}

const EncodedResource* DeltaResponse::Current() const {
  if (whole_ != nullptr) return cursor_.at_end() ? nullptr : (*cursor_).get();
  return next_changed_ == changed_.size() ? nullptr : changed_[next_changed_].get();
}

void DeltaResponse::Advance() {
  if (whole_ != nullptr) return cursor_.Next();
  ++next_changed_;
}

// The head first, once; the resources are a repeated field of their own, and the order of fields is
// free.
void DeltaResponse::AppendNext(std::string& out) {
  const size_t before = out.size();
  out.reserve(before + std::min(size_, kPieceBytes));
  out += std::exchange(head_, {});
  for (const EncodedResource* next = Current();
       next != nullptr &&
       (out.size() == before || out.size() - before + next->wire_size() <= kPieceBytes);
       next = Current()) {
    next->AppendTo(out);
    Advance();
  }
}

}  // namespace heddle::controlplane::xds
