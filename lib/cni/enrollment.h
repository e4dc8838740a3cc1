#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

// enroll.json in the agent's run directory: which pods may start while the agent is away. The agent writes it (to a new
// file, then renamed; mode 0600) whenever a namespace's enrolment changes; the plugin reads it when the agent does not
// answer an ADD. It lies on tmpfs, so after a boot it is absent, and then only exempt namespaces pass.
//
//   {"version":1,"namespaces":{"shop":"enrolled","legacy":"none","lab":"mixed"},"exemptNamespaces":["kube-system"]}
namespace heddle::cni {

inline constexpr std::string_view kEnrollmentFile = "enroll.json";

// kMixed: pods of the namespace differ by their own labels, which the plugin cannot see.
enum class NamespaceEnrollment { kEnrolled, kNone, kMixed };

struct Enrollment {
  std::map<std::string, NamespaceEnrollment> namespaces;
  std::set<std::string> exempt_namespaces;
  friend bool operator==(const Enrollment&, const Enrollment&) = default;
};

std::string EncodeEnrollment(const Enrollment& enrollment);
// Empty for text that is not of this form in every part: then nothing is known.
std::optional<Enrollment> DecodeEnrollment(std::string_view text);

// Whether a pod may start unseen by the agent: its namespace is exempt, or known to be not enrolled at all. A null
// enrollment and an empty namespace know nothing, so the answer is no.
bool MayStartWithoutAgent(const Enrollment* enrollment, std::string_view pod_namespace);

}  // namespace heddle::cni
