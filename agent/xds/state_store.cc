#include "agent/xds/state_store.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/arena.h>

#include <memory>
#include <utility>
#include <vector>

#include "agent/xds/crc32c.h"
#include "lib/base/strings.h"
#include "proto/stored_state.pb.h"

namespace heddle::agent {
namespace {

constexpr std::string_view kMagic("HDSTATE\x01", 8);
constexpr size_t kHeaderBytes = 20;
constexpr EditId kDecodeEdit = 1;

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

}  // namespace

absl::StatusOr<std::string> EncodeState(const HeldResources& held) {
  heddle::store::v1::StoredState state;
  for (const ResourceKind kind : kAllResourceKinds) {
    const HeldKind& from = held[static_cast<size_t>(kind)];
    auto& stored = *state.add_kinds();
    stored.set_type_url(std::string(TypeUrl(kind)));
    stored.set_received(from.received);
    from.resources.ForEach([&stored](const std::string& name, const std::shared_ptr<const HeldResource>& resource) {
      auto& entry = *stored.add_resources();
      entry.set_name(name);
      entry.set_version(resource->version);
      entry.set_value(resource->value);
    });
  }
  const size_t body_bytes = state.ByteSizeLong();
  if (body_bytes > kMaxStateFileBytes - kHeaderBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state has ", body_bytes, " bytes; too many to be kept on disk"));
  }
  const std::string body = state.SerializeAsString();
  std::string file(kMagic);
  AppendLittleEndian(body.size(), 8, file);
  AppendLittleEndian(Crc32c(body), 4, file);
  return file + body;
}

absl::StatusOr<HeldResources> DecodeState(std::string_view file) {
  const auto body = Body(file);
  if (!body.ok()) return body.status();
  google::protobuf::Arena arena;
  auto& state = *google::protobuf::Arena::CreateMessage<heddle::store::v1::StoredState>(&arena);
  if (!state.ParseFromArray(body->data(), static_cast<int>(body->size()))) return Damaged("its body is no StoredState");
  HeldResources held;
  for (auto& stored : *state.mutable_kinds()) {
    const auto kind = KindOf(stored.type_url());
    if (!kind.has_value()) continue;  // Of a newer version, which also kept what we know.
    std::vector<decltype(HeldKind::resources)::Entry> resources;
    resources.reserve(static_cast<size_t>(stored.resources_size()));
    for (auto& entry : *stored.mutable_resources()) {
      HeldResource resource{std::move(*entry.mutable_version()), std::move(*entry.mutable_value())};
      resources.push_back(
          {std::move(*entry.mutable_name()), std::make_shared<const HeldResource>(std::move(resource))});
    }
    held[static_cast<size_t>(*kind)] = {
        .received = stored.received(),
        .resources = decltype(HeldKind::resources)::Make(kDecodeEdit, std::move(resources))};
  }
  return held;
}

}  // namespace heddle::agent
