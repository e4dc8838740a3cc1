#include "agent/hbone/headers.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

bool IsReadable(std::string_view value) {
  return value.size() <= kMaxClaimBytes &&
         std::all_of(value.begin(), value.end(),
                     [](unsigned char c) { return absl::ascii_isprint(c); });
}

void Append(std::string& out, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  absl::StrAppend(&out, out.empty() ? "" : ",", ToAbsl(key), "=", ToAbsl(value));
}

constexpr std::string_view kWorkloadTypes[] = {"deployment", "cronjob", "pod", "job"};

constexpr std::string_view kBeforeType = "k8s.";
constexpr std::string_view kAfterType = ".name";

std::string WorkloadKey(std::string_view type) {
  return absl::StrCat(ToAbsl(kBeforeType), ToAbsl(type), ToAbsl(kAfterType));
}

// The type of which a key is the WorkloadKey(); empty: of none that we know.
std::string_view TypeOf(std::string_view key) {
  constexpr size_t kAround = kBeforeType.size() + kAfterType.size();
  if (key.size() < kAround || !key.starts_with(kBeforeType) || !key.ends_with(kAfterType)) return {};
  const std::string_view type = key.substr(kBeforeType.size(), key.size() - kAround);
  return std::ranges::find(kWorkloadTypes, type) == std::end(kWorkloadTypes) ? std::string_view() : type;
}

void MergeMember(std::string_view key, std::string_view value, Baggage& baggage) {
  const struct {
    std::string_view key;
    std::string& field;
  } fields[] = {
      {"k8s.cluster.name", baggage.cluster},  {"k8s.namespace.name", baggage.namespace_name},
      {"service.name", baggage.service_name}, {"service.version", baggage.service_version},
      {"cloud.region", baggage.region},       {"cloud.availability_zone", baggage.zone},
  };
  for (const auto& field : fields) {
    if (key == field.key) field.field = value;
  }
  if (const std::string_view type = TypeOf(key); !type.empty()) {
    baggage.workload_type = type;
    baggage.workload_name = value;
  }
}

std::string Hex(uint64_t value) { return absl::StrCat(absl::Hex(value, absl::kZeroPad16)); }

}  // namespace

Baggage BaggageOf(const Workload& workload) {
  return {.cluster = workload.cluster_id,
          .namespace_name = workload.name_space,
          .workload_type = std::string(ToString(workload.type)),
          .workload_name = workload.workload_name,
          .service_name = workload.canonical_name,
          .service_version = workload.canonical_revision,
          .region = workload.locality.region,
          .zone = workload.locality.zone};
}

std::string EncodeBaggage(const Baggage& baggage) {
  std::string out;
  Append(out, "k8s.cluster.name", baggage.cluster);
  Append(out, "k8s.namespace.name", baggage.namespace_name);
  Append(out, WorkloadKey(baggage.workload_type), baggage.workload_name);
  Append(out, "service.name", baggage.service_name);
  Append(out, "service.version", baggage.service_version);
  Append(out, "cloud.region", baggage.region);
  Append(out, "cloud.availability_zone", baggage.zone);
  return out;
}

void MergeBaggage(std::string_view value, Baggage& baggage) {
  if (!IsReadable(value)) return;
  for (const absl::string_view member : absl::StrSplit(ToAbsl(value), ',')) {
    const size_t equals = member.find('=');
    if (equals == absl::string_view::npos) continue;
    // A value is cut at a second '=', as Istio's reader does.
    const absl::string_view rest = member.substr(equals + 1);
    const absl::string_view merged = rest.substr(0, rest.find('='));
    if (!merged.empty()) MergeMember(ToStd(member.substr(0, equals)), ToStd(merged), baggage);
  }
}

std::string EncodeForwarded(const io::SocketAddress& source, std::string_view service_host) {
  std::string out = absl::StrCat("for=\"", source.ToString(), "\"");
  if (!service_host.empty()) absl::StrAppend(&out, ";host=", ToAbsl(service_host));
  return out;
}

std::string ForwardedHost(std::string_view value) {
  if (!IsReadable(value)) return {};
  for (absl::string_view part : absl::StrSplit(ToAbsl(value), ';')) {
    if (part.substr(0, 5) != "host=") continue;
    part.remove_prefix(5);
    if (part.size() >= 2 && part.front() == '"' && part.back() == '"')
      part = part.substr(1, part.size() - 2);
    return std::string(part);
  }
  return {};
}

std::string NewTraceparent(Random& random) {
  // An id of all zeros is not valid (W3C Trace Context section 3.2.2.3).
  return absl::StrCat("00-", Hex(random.Next() | 1), Hex(random.Next()), "-",
                      Hex(random.Next() | 1), "-00");
}

bool IsTraceparent(std::string_view value) {
  if (value.size() != 55) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    const bool dash = i == 2 || i == 35 || i == 52;
    const auto c = static_cast<unsigned char>(value[i]);
    if (dash ? c != '-' : !(absl::ascii_isxdigit(c) && !absl::ascii_isupper(c))) return false;
  }
  return true;
}

}  // namespace heddle::agent
