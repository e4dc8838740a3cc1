#include "controlplane/xds/snapshot.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "proto/discovery.pb.h"

namespace heddle::controlplane::xds {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr uint32_t LengthDelimited(int field) { return static_cast<uint32_t>(field) << 3 | 2; }

size_t FieldSize(size_t bytes) {
  return 1 + CodedOutputStream::VarintSize32(static_cast<uint32_t>(bytes)) + bytes;
}

// Gives the offset at which the text stands.
size_t WriteField(CodedOutputStream& out, int field, std::string_view text) {
  out.WriteTag(LengthDelimited(field));
  out.WriteVarint32(static_cast<uint32_t>(text.size()));
  const int at = out.ByteCount();
  out.WriteRaw(text.data(), static_cast<int>(text.size()));
  return static_cast<size_t>(at);
}

uint16_t Narrow(size_t value) {
  CHECK(value <= UINT16_MAX);  // Names are a few hundred bytes.
  return static_cast<uint16_t>(value);
}

bool NamedBefore(const ResourcePtr& resource, std::string_view name) {
  return resource->name() < name;
}

}  // namespace

AnyType::AnyType(std::string_view url) {
  google::protobuf::io::StringOutputStream stream(&field_);
  CodedOutputStream out(&stream);
  WriteField(out, google::protobuf::Any::kTypeUrlFieldNumber, url);
}

// The order of fields is free: name and version first, where they are found, and the type last.
EncodedResource::EncodedResource(const AnyType& type, const translate::Resource& resource)
    : type_(type) {
  using Message = envoy::service::discovery::v3::Resource;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
  const size_t any = FieldSize(resource.body.size()) + type.field().size();
  const size_t whole =
      FieldSize(resource.name.size()) + FieldSize(resource.version.size()) + FieldSize(any);
  size_ = static_cast<uint32_t>(FieldSize(whole) - type.field().size());
  auto bytes = std::make_unique_for_overwrite<char[]>(size_);
  google::protobuf::io::ArrayOutputStream stream(bytes.get(), static_cast<int>(size_));
  CodedOutputStream out(&stream);
  out.WriteTag(LengthDelimited(Response::kResourcesFieldNumber));
  out.WriteVarint32(static_cast<uint32_t>(whole));
  name_at_ = Narrow(WriteField(out, Message::kNameFieldNumber, resource.name));
  name_size_ = Narrow(resource.name.size());
  version_at_ = Narrow(WriteField(out, Message::kVersionFieldNumber, resource.version));
  version_size_ = Narrow(resource.version.size());
  out.WriteTag(LengthDelimited(Message::kResourceFieldNumber));
  out.WriteVarint32(static_cast<uint32_t>(any));
  WriteField(out, google::protobuf::Any::kValueFieldNumber, resource.body);
  bytes_ = std::move(bytes);
}

// Edits one shard after the other into a new snapshot.
class SnapshotBuilder {
 public:
  SnapshotBuilder(const Snapshot& before, SnapshotEdit edit)
      : before_(before), edit_(std::move(edit)) {}

  // Null if nothing has changed.
  SnapshotPtr Build() && {
    next_->shards_.reserve(before_.shards_.size() + edit_.upserted.size() / Snapshot::kMaxShard +
                           1);
    size_t at = 0;
    while (upserted_ < edit_.upserted.size() || removed_ < edit_.removed.size()) {
      const size_t touched = ShardOf(NextName(), at);
      Keep(at, touched);
      at = touched;
      const bool last = at + 1 >= before_.shards_.size();
      EditShard(at < before_.shards_.size() ? before_.shards_[at] : nullptr,
                last ? nullptr : before_.shards_[at + 1]);
      if (at < before_.shards_.size()) ++at;
    }
    Keep(at, before_.shards_.size());
    if (!changed_) return nullptr;
    for (const auto& shard : next_->shards_) next_->size_ += shard->size();
    next_->wire_bytes_ = before_.wire_bytes_ + added_bytes_ - removed_bytes_;
    return next_;
  }

 private:
  using Shard = Snapshot::Shard;
  using ShardPtr = Snapshot::ShardPtr;

  std::string_view NextName() const {
    if (upserted_ == edit_.upserted.size()) return edit_.removed[removed_];
    const std::string_view upserted = edit_.upserted[upserted_]->name();
    if (removed_ == edit_.removed.size()) return upserted;
    return std::min(upserted, std::string_view(edit_.removed[removed_]));
  }

  // The shard, from `from` on, in which the name is or would be.
  size_t ShardOf(std::string_view name, size_t from) const {
    const auto& shards = before_.shards_;
    const auto behind = std::partition_point(
        shards.begin() + static_cast<ptrdiff_t>(from), shards.end(),
        [name](const ShardPtr& shard) { return shard->front()->name() <= name; });
    const auto index = static_cast<size_t>(behind - shards.begin());
    return index > from ? index - 1 : from;
  }

  void Keep(size_t from, size_t to) {
    next_->shards_.insert(next_->shards_.end(),
                          before_.shards_.begin() + static_cast<ptrdiff_t>(from),
                          before_.shards_.begin() + static_cast<ptrdiff_t>(to));
  }

  // Takes what of the edit comes before `following`.
  void EditShard(const ShardPtr& shard, const ShardPtr& following) {
    const auto mine = [&](std::string_view name) {
      return following == nullptr || name < following->front()->name();
    };
    const size_t old_size = shard == nullptr ? 0 : shard->size();
    Shard edited;
    edited.reserve(old_size + 1);
    bool changed = false;
    size_t old = 0;
    const auto take_old_before = [&](std::string_view name) {
      while (old < old_size && (*shard)[old]->name() < name) edited.push_back((*shard)[old++]);
      return old < old_size && (*shard)[old]->name() == name;
    };
    while (true) {
      const bool upsert = upserted_ < edit_.upserted.size();
      if (!upsert && removed_ == edit_.removed.size()) break;
      const std::string_view name = NextName();
      if (!mine(name)) break;
      const bool there = take_old_before(name);
      if (upsert && edit_.upserted[upserted_]->name() == name) {
        ResourcePtr& next = edit_.upserted[upserted_++];
        const bool same = there && (*shard)[old]->version() == next->version();
        changed |= !same;
        if (!same) added_bytes_ += next->wire_size();
        if (!same && there) removed_bytes_ += (*shard)[old]->wire_size();
        edited.push_back(same ? (*shard)[old] : std::move(next));
      } else {
        ++removed_;
        changed |= there;
        if (there) removed_bytes_ += (*shard)[old]->wire_size();
      }
      if (there) ++old;
    }
    for (; old < old_size; ++old) edited.push_back((*shard)[old]);
    changed_ |= changed;
    if (!changed && shard != nullptr) {
      next_->shards_.push_back(shard);
    } else {
      Append(std::move(edited));
    }
  }

  void Append(Shard edited) {
    if (edited.size() < Snapshot::kMinShard && !next_->shards_.empty()) {
      Shard joined = *next_->shards_.back();
      next_->shards_.pop_back();
      std::move(edited.begin(), edited.end(), std::back_inserter(joined));
      edited = std::move(joined);
    }
    if (edited.empty()) return;
    const size_t parts = (edited.size() + Snapshot::kMaxShard - 1) / Snapshot::kMaxShard;
    for (size_t i = 0; i < parts; ++i) {
      const auto begin = edited.begin() + static_cast<ptrdiff_t>(edited.size() * i / parts);
      const auto end = edited.begin() + static_cast<ptrdiff_t>(edited.size() * (i + 1) / parts);
      next_->shards_.push_back(
          std::make_shared<const Shard>(std::move_iterator(begin), std::move_iterator(end)));
    }
  }

  const Snapshot& before_;
  SnapshotEdit edit_;
  size_t upserted_ = 0;
  size_t removed_ = 0;
  size_t added_bytes_ = 0;
  size_t removed_bytes_ = 0;
  bool changed_ = false;
  std::shared_ptr<Snapshot> next_ = std::make_shared<Snapshot>();
};

SnapshotPtr Snapshot::Empty() {
  static const SnapshotPtr empty = std::make_shared<const Snapshot>();
  return empty;
}

SnapshotPtr Snapshot::Advance(const SnapshotPtr& before, SnapshotEdit edit) {
  if (edit.empty()) return before;
  SnapshotPtr next = SnapshotBuilder(*before, std::move(edit)).Build();
  return next == nullptr ? before : next;
}

ResourcePtr Snapshot::Find(std::string_view name) const {
  const auto behind = std::partition_point(
      shards_.begin(), shards_.end(),
      [name](const ShardPtr& shard) { return shard->front()->name() <= name; });
  if (behind == shards_.begin()) return nullptr;
  const Shard& shard = **std::prev(behind);
  const auto found = std::lower_bound(shard.begin(), shard.end(), name, NamedBefore);
  return found != shard.end() && (*found)->name() == name ? *found : nullptr;
}

Difference Compare(const Snapshot& before, const Snapshot& after) {
  Difference difference;
  SnapshotCursor old(before);
  SnapshotCursor now(after);
  while (!old.at_end() || !now.at_end()) {
    if (old.SkipShared(now)) continue;
    const int order = old.at_end() ? 1 : now.at_end() ? -1 : (*old)->name().compare((*now)->name());
    if (order < 0) difference.removed.emplace_back((*old)->name());
    if (order > 0 || (order == 0 && (*old)->version() != (*now)->version()))
      difference.changed.push_back(*now);
    if (order <= 0) old.Next();
    if (order >= 0) now.Next();
  }
  return difference;
}

Difference Compare(const std::map<std::string, std::string>& held, const Snapshot& after) {
  Difference difference;
  auto old = held.begin();
  SnapshotCursor now(after);
  while (old != held.end() || !now.at_end()) {
    const int order = old == held.end() ? 1
                      : now.at_end()    ? -1
                                        : std::string_view(old->first).compare((*now)->name());
    if (order < 0) difference.removed.push_back(old->first);
    if (order > 0 || (order == 0 && old->second != (*now)->version()))
      difference.changed.push_back(*now);
    if (order <= 0) ++old;
    if (order >= 0) now.Next();
  }
  return difference;
}

}  // namespace heddle::controlplane::xds
