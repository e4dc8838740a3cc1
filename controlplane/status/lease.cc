#include "controlplane/status/lease.h"

#include <nlohmann/json.hpp>

namespace heddle::controlplane::status {
namespace {

using Json = nlohmann::json;

// MicroTime, as Kubernetes writes it.
constexpr char kMicroTime[] = "%E4Y-%m-%dT%H:%M:%E6SZ";

std::string FormatMicroTime(absl::Time time) {
  return absl::FormatTime(kMicroTime, time, absl::UTCTimeZone());
}

absl::Time TimeIn(const Json& spec, const char* key) {
  absl::Time time;
  const auto found = spec.find(key);
  if (found == spec.end() || !found->is_string()) return absl::InfinitePast();
  return absl::ParseTime(absl::RFC3339_full, found->get<std::string>(), &time, nullptr)
             ? time
             : absl::InfinitePast();
}

int64_t NumberIn(const Json& spec, const char* key) {
  const auto found = spec.find(key);
  return found != spec.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

std::string TextIn(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<Lease> ParseLease(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("metadata") || !object["metadata"].is_object())
    return absl::InvalidArgumentError("the API server's answer is not a Lease");
  Lease lease{.acquired = absl::InfinitePast(), .renewed = absl::InfinitePast()};
  lease.resource_version = TextIn(object["metadata"], "resourceVersion");
  const Json spec = object.value("spec", Json::object());
  if (!spec.is_object()) return lease;
  lease.holder = TextIn(spec, "holderIdentity");
  lease.duration = absl::Seconds(NumberIn(spec, "leaseDurationSeconds"));
  lease.acquired = TimeIn(spec, "acquireTime");
  lease.renewed = TimeIn(spec, "renewTime");
  lease.transitions = NumberIn(spec, "leaseTransitions");
  return lease;
}

std::string ToJson(const Lease& lease, const std::string& name_space, const std::string& name) {
  Json metadata = {{"name", name},
                   {"namespace", name_space},
                   {"labels", {{"app.kubernetes.io/part-of", "heddle"}}}};
  if (!lease.resource_version.empty()) metadata["resourceVersion"] = lease.resource_version;
  const Json spec = {{"holderIdentity", lease.holder},
                     {"leaseDurationSeconds", absl::ToInt64Seconds(lease.duration)},
                     {"acquireTime", FormatMicroTime(lease.acquired)},
                     {"renewTime", FormatMicroTime(lease.renewed)},
                     {"leaseTransitions", lease.transitions}};
  const Json object = {{"apiVersion", "coordination.k8s.io/v1"},
                       {"kind", "Lease"},
                       {"metadata", metadata},
                       {"spec", spec}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace heddle::controlplane::status
