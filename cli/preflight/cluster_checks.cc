#include "cli/preflight/cluster_checks.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

// The CRD's rules use isCIDR, which is that old, as is ValidatingAdmissionPolicy in its final form.
constexpr int kMinMinor = 31;

// "31+" of some providers is 31.
int LeadingNumber(const Json& object, const char* field) {
  const std::string text = object.is_object() ? object.value(field, "") : "";
  int number = 0;
  const std::string digits = text.substr(0, text.find_first_not_of("0123456789"));
  return absl::SimpleAtoi(digits, &number) ? number : -1;
}

}  // namespace

Finding JudgeServerVersion(const Json& version) {
  Finding finding{.check = "api-server"};
  const int major = LeadingNumber(version, "major");
  const int minor = LeadingNumber(version, "minor");
  if (major < 0 || minor < 0) {
    finding.verdict = Verdict::kFailed;
    finding.sentence = "the API server does not say which version it is";
    finding.advice = "is this the address of a Kubernetes API server?";
    return finding;
  }
  finding.sentence = absl::StrCat("Kubernetes ", major, ".", minor);
  if (major > 1 || minor >= kMinMinor) return finding;
  finding.verdict = Verdict::kFailed;
  absl::StrAppend(&finding.sentence, " is older than 1.", kMinMinor);
  finding.advice = "upgrade the cluster: Heddle's kinds use rules that older servers do not know";
  return finding;
}

}  // namespace heddle::cli
