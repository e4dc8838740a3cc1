#include "controlplane/ca/root_secret.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/tls/certificate.h"

namespace heddle::controlplane::ca {
namespace {

using Json = nlohmann::json;

constexpr char kKeyKey[] = "root-key.pem";
constexpr char kNextRootKey[] = "next-root-cert.pem";
constexpr char kNextKeyKey[] = "next-root-key.pem";
constexpr char kRotate[] = "heddle.io/rotate";
constexpr char kRotationBegan[] = "heddle.io/rotation-began";
constexpr char kRotationStepSeconds[] = "heddle.io/rotation-step";

absl::StatusOr<Json> Parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("it is no object");
  return json;
}

// The member `key` of the member `table`, as text; empty when there is none.
std::string Text(const Json& json, const char* table, const char* key) {
  const auto found = json.find(table);
  if (found == json.end() || !found->is_object()) return "";
  const auto value = found->find(key);
  return value != found->end() && value->is_string() ? value->get<std::string>() : "";
}

absl::StatusOr<std::string> Data(const Json& json, const char* key) {
  std::string bytes;
  if (absl::Base64Unescape(Text(json, "data", key), &bytes)) return bytes;
  return absl::InvalidArgumentError(absl::StrCat(key, " is not base64"));
}

absl::Status ReadRotation(const Json& metadata, StoredRoots& stored) {
  const auto annotations = metadata.find("annotations");
  stored.rotation_asked = annotations != metadata.end() && annotations->contains(kRotate);
  const std::string began = Text(metadata, "annotations", kRotationBegan);
  if (began.empty()) return absl::OkStatus();
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, began, &time, &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", kRotationBegan, " is not a time such as 2026-01-31T12:00:00Z"));
  }
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(Text(metadata, "annotations", kRotationStepSeconds), &seconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", kRotationStepSeconds, " is not a number of seconds"));
  }
  stored.rotation_began = time;
  stored.rotation_step = absl::Seconds(seconds);
  return absl::OkStatus();
}

void Put(Json& json, const char* key, const std::string& bytes) {
  if (bytes.empty()) {
    json["data"].erase(key);
  } else {
    json["data"][key] = absl::Base64Escape(bytes);
  }
}

void Write(const StoredRoots& stored, Json& json) {
  json["apiVersion"] = "v1";
  json["kind"] = "Secret";
  if (!json["data"].is_object()) json["data"] = Json::object();
  Put(json, kRootKey, stored.certificate_pem);
  Put(json, kKeyKey, stored.key_pem);
  Put(json, kNextRootKey, stored.next_certificate_pem);
  Put(json, kNextKeyKey, stored.next_key_pem);
  Json& annotations = json["metadata"]["annotations"];
  if (!annotations.is_object()) annotations = Json::object();
  if (!stored.rotation_asked) annotations.erase(kRotate);
  annotations.erase(kRotationBegan);
  annotations.erase(kRotationStepSeconds);
  if (stored.rotation_began.has_value()) {
    annotations[kRotationBegan] =
        absl::FormatTime(absl::RFC3339_sec, *stored.rotation_began, absl::UTCTimeZone());
    annotations[kRotationStepSeconds] = absl::StrCat(absl::ToInt64Seconds(stored.rotation_step));
  }
}

}  // namespace

absl::StatusOr<StoredRoots> ReadRootSecret(std::string_view text) {
  TRY_ASSIGN(const Json json, Parse(text));
  StoredRoots stored;
  TRY_ASSIGN(stored.certificate_pem, Data(json, kRootKey));
  TRY_ASSIGN(stored.key_pem, Data(json, kKeyKey));
  TRY_ASSIGN(stored.next_certificate_pem, Data(json, kNextRootKey));
  TRY_ASSIGN(stored.next_key_pem, Data(json, kNextKeyKey));
  const auto metadata = json.find("metadata");
  if (metadata != json.end()) TRY_STATUS(ReadRotation(*metadata, stored));
  return stored;
}

std::string NewRootSecret(const StoredRoots& stored) {
  Json json = {{"type", "heddle.io/ca"}, {"metadata", {{"name", kSecretName}}}};
  Write(stored, json);
  return json.dump();
}

absl::StatusOr<std::string> WithRoots(std::string_view text, const StoredRoots& stored) {
  TRY_ASSIGN(Json json, Parse(text));
  Write(stored, json);
  return json.dump();
}

std::string RootConfigMap(const std::string& roots_pem) {
  const Json json = {{"apiVersion", "v1"},
                     {"kind", "ConfigMap"},
                     {"metadata", {{"name", kRootConfigMapName}}},
                     {"data", {{kRootKey, roots_pem}}}};
  return json.dump();
}

std::string RootsInConfigMap(std::string_view text) {
  const auto json = Parse(text);
  return json.ok() ? Text(*json, "data", kRootKey) : "";
}

bool IsTrusted(const std::string& roots_pem, absl::Time now) {
  const auto roots = tls::ParseCertificatesPem(roots_pem);
  return roots.ok() && std::ranges::any_of(*roots, [now](const tls::Certificate& root) {
           return now < root.not_after();
         });
}

}  // namespace heddle::controlplane::ca
