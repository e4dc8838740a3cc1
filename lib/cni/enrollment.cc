#include "lib/cni/enrollment.h"

#include <algorithm>

#include "lib/cni/invocation.h"
#include "lib/cni/json.h"

namespace heddle::cni {
namespace {

constexpr int kEnrollmentVersion = 1;

struct Row {
  NamespaceEnrollment enrollment;
  std::string_view name;
};
constexpr Row kRows[] = {
    {NamespaceEnrollment::kEnrolled, "enrolled"},
    {NamespaceEnrollment::kNone, "none"},
    {NamespaceEnrollment::kMixed, "mixed"},
};

bool ReadNamespaces(const JsonValue* value, Enrollment& enrollment) {
  const auto members = value != nullptr ? JsonMembers(*value) : std::nullopt;
  if (!members) return false;
  for (const auto& [name, state] : *members) {
    const auto word = JsonString(state);
    const auto* row = word ? std::ranges::find(kRows, std::string_view(*word), &Row::name) : std::end(kRows);
    if (row == std::end(kRows) || !IsObjectName(name)) return false;
    enrollment.namespaces.emplace(name, row->enrollment);
  }
  return true;
}

bool ReadExempt(const JsonValue* value, Enrollment& enrollment) {
  const auto items = value != nullptr ? JsonItems(*value) : std::nullopt;
  if (!items) return false;
  for (const JsonValue& item : *items) {
    const auto name = JsonString(item);
    if (!name || !IsObjectName(*name)) return false;
    enrollment.exempt_namespaces.insert(*name);
  }
  return true;
}

}  // namespace

std::string EncodeEnrollment(const Enrollment& enrollment) {
  std::string json = "{\"version\":" + std::to_string(kEnrollmentVersion) + ",\"namespaces\":{";
  const char* separator = "";
  for (const auto& [name, state] : enrollment.namespaces) {
    const auto* row = std::ranges::find(kRows, state, &Row::enrollment);
    json += separator + QuoteJson(name) + ':' + QuoteJson(row->name);
    separator = ",";
  }
  json += "},\"exemptNamespaces\":[";
  separator = "";
  for (const std::string& name : enrollment.exempt_namespaces) {
    json += separator + QuoteJson(name);
    separator = ",";
  }
  return json + "]}\n";
}

std::optional<Enrollment> DecodeEnrollment(std::string_view text) {
  const auto document = ParseJson(text);
  const auto members = document ? JsonMembers(*document) : std::nullopt;
  if (!members) return std::nullopt;
  const JsonValue* version = FindMember(*members, "version");
  if (version == nullptr || JsonInteger(*version) != kEnrollmentVersion) return std::nullopt;
  Enrollment enrollment;
  if (!ReadNamespaces(FindMember(*members, "namespaces"), enrollment)) return std::nullopt;
  if (!ReadExempt(FindMember(*members, "exemptNamespaces"), enrollment)) return std::nullopt;
  return enrollment;
}

bool MayStartWithoutAgent(const Enrollment* enrollment, std::string_view pod_namespace) {
  if (enrollment == nullptr || pod_namespace.empty()) return false;
  const std::string name(pod_namespace);
  if (enrollment->exempt_namespaces.contains(name)) return true;
  const auto found = enrollment->namespaces.find(name);
  return found != enrollment->namespaces.end() && found->second == NamespaceEnrollment::kNone;
}

}  // namespace heddle::cni
