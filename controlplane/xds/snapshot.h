#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/translate/resource.h"

namespace heddle::controlplane::xds {

// The type of a resource's Any as it goes over the wire. Stands last in it, so that all resources of a type
// share it.
class AnyType {
 public:
  explicit AnyType(std::string_view url);
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

// A resource as it goes over the wire: encoded once, shared by all subscribers. Immutable.
class EncodedResource {
 public:
  // `type` outlives it.
  EncodedResource(const AnyType& type, const translate::Resource& resource);

  std::string_view name() const { return {bytes_.get() + name_at_, name_size_}; }
  std::string_view version() const { return {bytes_.get() + version_at_, version_size_}; }
  // As it stands among the resources of a DeltaDiscoveryResponse: field, length and the serialized
  // envoy.service.discovery.v3.Resource.
  size_t wire_size() const { return size_ + type_.field().size(); }
  void AppendTo(std::string& out) const {
    out.append(bytes_.get(), size_);
    out += type_.field();
  }

 private:
  std::unique_ptr<const char[]> bytes_;  // All but the type.
  const AnyType& type_;
  uint32_t size_ = 0;
  // Where the name and the version stand in `bytes_`: they are not held twice.
  uint16_t name_at_ = 0;
  uint16_t name_size_ = 0;
  uint16_t version_at_ = 0;
  uint16_t version_size_ = 0;
};
using ResourcePtr = std::shared_ptr<const EncodedResource>;

// Sorted by name; no name is in both.
struct SnapshotEdit {
  std::vector<ResourcePtr> upserted;
  std::vector<std::string> removed;  // Those that are not there do not matter.
  bool empty() const { return upserted.empty() && removed.empty(); }
};

class Snapshot;
using SnapshotPtr = std::shared_ptr<const Snapshot>;  // Never null.

// All resources of one type at one time, sorted by name. Immutable. They stand in shards, and a
// snapshot shares with the one before the shards in which nothing has changed: an edit costs the
// shards that it touches and a pointer for each of the others, and so does a comparison.
class Snapshot {
 public:
  // An edit copies a shard; a comparison looks at each. Between both.
  static constexpr size_t kMaxShard = 128;
  static constexpr size_t kMinShard = 32;  // Fewer are put together with their neighbours.

  static SnapshotPtr Empty();
  // `before` itself if the edit changes nothing.
  static SnapshotPtr Advance(const SnapshotPtr& before, SnapshotEdit edit);

  size_t size() const { return size_; }
  // Of all resources, as they are sent.
  size_t wire_bytes() const { return wire_bytes_; }
  // Null when there is none.
  ResourcePtr Find(std::string_view name) const;
  template <typename Visitor>
  void ForEach(Visitor visitor) const {
    for (const ShardPtr& shard : shards_) {
      for (const ResourcePtr& resource : *shard) visitor(resource);
    }
  }

 private:
  friend class SnapshotCursor;
  friend class SnapshotBuilder;
  using Shard = std::vector<ResourcePtr>;  // Never empty.
  using ShardPtr = std::shared_ptr<const Shard>;

  std::vector<ShardPtr> shards_;
  size_t size_ = 0;
  size_t wire_bytes_ = 0;
};

// A place in a snapshot, which outlives it.
class SnapshotCursor {
 public:
  explicit SnapshotCursor(const Snapshot& snapshot) : shards_(&snapshot.shards_) {}

  bool at_end() const { return shard_ == shards_->size(); }
  const ResourcePtr& operator*() const { return (*(*shards_)[shard_])[index_]; }
  void Next() {
    if (++index_ < (*shards_)[shard_]->size()) return;
    index_ = 0;
    ++shard_;
  }
  // Both stand before the same shard, and are now behind it.
  bool SkipShared(SnapshotCursor& other) {
    if (index_ != 0 || other.index_ != 0 || at_end() || other.at_end()) return false;
    if ((*shards_)[shard_] != (*other.shards_)[other.shard_]) return false;
    ++shard_;
    ++other.shard_;
    return true;
  }

 private:
  const std::vector<Snapshot::ShardPtr>* shards_;
  size_t shard_ = 0;
  size_t index_ = 0;
};

struct Difference {
  std::vector<ResourcePtr> changed;  // New ones too.
  std::vector<std::string> removed;
  bool empty() const { return changed.empty() && removed.empty(); }
};

Difference Compare(const Snapshot& before, const Snapshot& after);
// Compared with names and versions that a subscriber says it holds.
Difference Compare(const std::map<std::string, std::string>& held, const Snapshot& after);

}  // namespace heddle::controlplane::xds
