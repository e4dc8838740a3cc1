#include "agent/xds/state_store.h"

#include <absl/hash/hash.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/io/coded_stream.h>

#include <memory>
#include <utility>
#include <vector>

#include "agent/model/hash_order.h"
#include "agent/xds/crc32c.h"
#include "lib/base/strings.h"
#include "proto/stored_state.pb.h"

namespace heddle::agent {
namespace {

constexpr std::string_view kMagic("HDSTATE\x01", 8);
constexpr size_t kHeaderBytes = 20;
constexpr EditId kFirstEdit = 1;

using heddle::store::v1::StoredKind;
using heddle::store::v1::StoredResource;
using heddle::store::v1::StoredState;

void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

uint64_t ReadLittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

absl::Status Damaged(std::string_view why) {
  return absl::DataLossError(absl::StrCat("the state file is damaged: ", ToAbsl(why)));
}

// The checked body of the file.
absl::StatusOr<std::string_view> Body(std::string_view file) {
  if (file.size() > kMaxStateFileBytes) return absl::ResourceExhaustedError("the state file is too large to be read");
  if (file.size() < kHeaderBytes) return Damaged("it ends within its header");
  if (!file.starts_with(kMagic)) return Damaged("it does not begin as a state file of this version");
  const std::string_view body = file.substr(kHeaderBytes);
  if (ReadLittleEndian(file.substr(8, 8)) != body.size()) return Damaged("its length is not what the header says");
  if (ReadLittleEndian(file.substr(16, 4)) != Crc32c(body)) return Damaged("its checksum is wrong");
  return body;
}

// A field of an encoded message as it lies there (protobuf.dev/programming-guides/encoding). A message of protobuf's
// would be a copy of a hundred thousand resources, made before the first is looked at.
struct WireField {
  int number = 0;          // 0 for one that is neither of the two: none of ours.
  uint64_t value = 0;      // Of a varint.
  std::string_view bytes;  // Of what has a length.
  bool has_length = false;

  bool IsVarint(int wanted) const { return number == wanted && !has_length; }
  bool IsBytes(int wanted) const { return number == wanted && has_length; }
};

using google::protobuf::io::CodedInputStream;

bool ReadBytes(CodedInputStream& in, std::string_view message, std::string_view& bytes) {
  int length = 0;
  if (!in.ReadVarintSizeAsInt(&length)) return false;
  bytes = message.substr(static_cast<size_t>(in.CurrentPosition()), static_cast<size_t>(length));
  return in.Skip(length);
}

// False when the bytes are no message or `visit` says so. Of the wire types all but groups, which proto3 has not.
template <typename Visit>
bool VisitFields(std::string_view message, Visit visit) {
  const int size = static_cast<int>(message.size());
  CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()), size);
  while (in.CurrentPosition() < size) {
    const uint32_t tag = in.ReadTagNoLastTag();
    WireField field{.number = static_cast<int>(tag >> 3), .has_length = (tag & 7) == 2};
    if (field.number == 0) return false;
    bool whole = false;
    switch (tag & 7) {
      case 0: whole = in.ReadVarint64(&field.value); break;
      case 2: whole = ReadBytes(in, message, field.bytes); break;
      case 1:
      case 5:
        whole = in.Skip((tag & 7) == 1 ? 8 : 4);
        field.number = 0;
        break;
      default: break;
    }
    if (!whole || !visit(field)) return false;
  }
  return true;
}

bool ViewResource(std::string_view bytes, ResourceView& resource) {
  return VisitFields(bytes, [&resource](const WireField& field) {
    if (field.IsBytes(StoredResource::kNameFieldNumber)) resource.name = field.bytes;
    if (field.IsBytes(StoredResource::kVersionFieldNumber)) resource.version = field.bytes;
    if (field.IsBytes(StoredResource::kValueFieldNumber)) resource.value = field.bytes;
    return true;
  });
}

// Most have more, and what is not used of a list's room costs nothing.
constexpr size_t kResourceBytesMin = 128;

// Of a kind that is none of ours nothing is kept.
bool ViewKind(std::string_view bytes, StateView& state) {
  KindView view;
  view.resources.reserve(bytes.size() / kResourceBytesMin);
  std::string_view type_url;
  const bool whole = VisitFields(bytes, [&](const WireField& field) {
    if (field.IsBytes(StoredKind::kTypeUrlFieldNumber)) type_url = field.bytes;
    if (field.IsVarint(StoredKind::kReceivedFieldNumber)) view.received = field.value != 0;
    if (!field.IsBytes(StoredKind::kResourcesFieldNumber)) return true;
    return ViewResource(field.bytes, view.resources.emplace_back());
  });
  const auto kind = KindOf(type_url);
  if (kind.has_value()) state[static_cast<size_t>(*kind)] = std::move(view);
  return whole;
}

struct NamedResource {
  const std::string* name;
  const HeldResource* resource;
};

// Those that belong together, one after the other: pods of one kind are called alike but for what follows the last '-'.
// They have most in common, and who reads the file decodes them faster that way (SharedParts).
std::vector<NamedResource> InGroups(const HeldKind& kind) {
  std::vector<NamedResource> resources;
  std::vector<HashPlace> places;
  resources.reserve(kind.resources.size());
  places.reserve(kind.resources.size());
  kind.resources.ForEach([&](const std::string& name, const std::shared_ptr<const HeldResource>& resource) {
    const std::string_view group = std::string_view(name).substr(0, name.rfind('-'));
    places.push_back({absl::Hash<absl::string_view>()(ToAbsl(group)), resources.size()});
    resources.push_back({&name, resource.get()});
  });
  SortByHash(places);
  std::vector<NamedResource> grouped;
  grouped.reserve(places.size());
  for (const HashPlace& place : places) grouped.push_back(resources[place.index]);
  return grouped;
}

}  // namespace

absl::StatusOr<std::string> EncodeState(const HeldResources& held) {
  StoredState state;
  for (const ResourceKind kind : kAllResourceKinds) {
    const HeldKind& from = held[static_cast<size_t>(kind)];
    auto& stored = *state.add_kinds();
    stored.set_type_url(std::string(TypeUrl(kind)));
    stored.set_received(from.received);
    for (const NamedResource& named : InGroups(from)) {
      auto& entry = *stored.add_resources();
      entry.set_name(*named.name);
      entry.set_version(named.resource->version);
      entry.set_value(named.resource->value);
    }
  }
  const size_t body_bytes = state.ByteSizeLong();
  if (body_bytes > kMaxStateFileBytes - kHeaderBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state has ", body_bytes, " bytes; too many to be kept on disk"));
  }
  return WithHeader(state.SerializeAsString());
}

std::string WithHeader(std::string_view body) {
  std::string file(kMagic);
  file.reserve(kHeaderBytes + body.size());
  AppendLittleEndian(body.size(), 8, file);
  AppendLittleEndian(Crc32c(body), 4, file);
  return file.append(body);
}

absl::StatusOr<StateView> ViewState(std::string_view file) {
  const auto body = Body(file);
  if (!body.ok()) return body.status();
  StateView state;
  const bool whole = VisitFields(*body, [&state](const WireField& field) {
    return !field.IsBytes(StoredState::kKindsFieldNumber) || ViewKind(field.bytes, state);
  });
  if (!whole) return Damaged("its body is no StoredState");
  return state;
}

HeldResources HoldAll(const StateView& state) {
  HeldResources held;
  for (size_t kind = 0; kind < state.size(); ++kind) {
    std::vector<decltype(HeldKind::resources)::Entry> resources;
    resources.reserve(state[kind].resources.size());
    for (const ResourceView& view : state[kind].resources) {
      HeldResource resource{std::string(view.version), std::string(view.value)};
      resources.push_back({std::string(view.name), std::make_shared<const HeldResource>(std::move(resource))});
    }
    held[kind] = {.received = state[kind].received,
                  .resources = decltype(HeldKind::resources)::Make(kFirstEdit, std::move(resources))};
  }
  return held;
}

}  // namespace heddle::agent
