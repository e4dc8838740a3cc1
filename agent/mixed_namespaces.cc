#include "agent/mixed_namespaces.h"

#include <absl/strings/str_cat.h>

#include <optional>

#include "lib/cni/json.h"

namespace heddle::agent {
namespace {

constexpr int kVersion = 1;

absl::Time RoundUp(absl::Time time) {
  const absl::Duration since = time - absl::UnixEpoch();
  return absl::UnixEpoch() + absl::Ceil(since, MixedNamespaces::kStep);
}

std::string TimeText(absl::Time time) {
  return cni::QuoteJson(absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone()));
}

std::optional<absl::Time> ReadTime(const cni::JsonValue& value) {
  const auto text = cni::JsonString(value);
  absl::Time time;
  std::string error;
  if (!text || !absl::ParseTime(absl::RFC3339_sec, *text, &time, &error)) return std::nullopt;
  return time;
}

}  // namespace

void MixedNamespaces::Note(const std::string& name_space, absl::Time now) {
  Expire(now);
  if (!until_.contains(name_space) && until_.size() == kMaxNamespaces) return Distrust(now);
  until_[name_space] = RoundUp(now + kMemory);
}

// A clock that went back leaves times too far ahead: those of a day from now hold at most.
void MixedNamespaces::Expire(absl::Time now) {
  const absl::Time latest = RoundUp(now + kMemory);
  std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
  for (auto& [unused, until] : until_) until = std::min(until, latest);
  everything_until_ = std::min(everything_until_, latest);
  if (everything_until_ <= now) everything_until_ = absl::InfinitePast();
}

bool MixedNamespaces::Contains(const std::string& name_space) const {
  return everything_until_ != absl::InfinitePast() || until_.contains(name_space);
}

void MixedNamespaces::Distrust(absl::Time now) { everything_until_ = RoundUp(now + kMemory); }

std::string MixedNamespaces::Encode() const {
  std::string json = absl::StrCat("{\"version\":", kVersion);
  if (everything_until_ != absl::InfinitePast())
    absl::StrAppend(&json, ",\"everything\":", TimeText(everything_until_));
  json += ",\"namespaces\":{";
  const char* separator = "";
  for (const auto& [name, until] : until_) {
    absl::StrAppend(&json, separator, cni::QuoteJson(name), ":", TimeText(until));
    separator = ",";
  }
  return json + "}}\n";
}

absl::StatusOr<MixedNamespaces> MixedNamespaces::Decode(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError("it is not as the agent writes it");
  const auto document = cni::ParseJson(text);
  const auto members = document ? cni::JsonMembers(*document) : std::nullopt;
  if (!members) return bad;
  const cni::JsonValue* version = cni::FindMember(*members, "version");
  if (version == nullptr || cni::JsonInteger(*version) != kVersion) return bad;
  MixedNamespaces mixed;
  if (const cni::JsonValue* everything = cni::FindMember(*members, "everything")) {
    const auto until = ReadTime(*everything);
    if (!until) return bad;
    mixed.everything_until_ = *until;
  }
  const cni::JsonValue* namespaces = cni::FindMember(*members, "namespaces");
  const auto entries = namespaces != nullptr ? cni::JsonMembers(*namespaces) : std::nullopt;
  if (!entries || entries->size() > kMaxNamespaces) return bad;
  for (const auto& [name, value] : *entries) {
    const auto until = ReadTime(value);
    if (!until) return bad;
    mixed.until_[name] = *until;
  }
  return mixed;
}

}  // namespace heddle::agent
