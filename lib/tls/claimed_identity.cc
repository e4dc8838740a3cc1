#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "lib/tls/certificate.h"

namespace heddle::tls {
namespace {

// For sentences: the names that are there instead of the one that was looked for.
std::string ListNames(const std::vector<SubjectAltName>& names) {
  constexpr size_t kMaxListed = 4;
  if (names.empty()) return "it has no subjectAltName";
  std::vector<std::string> listed;
  for (const SubjectAltName& name : names) {
    if (listed.size() == kMaxListed) {
      listed.push_back("...");
      break;
    }
    listed.push_back(name.ToString().substr(0, 200));
  }
  return absl::StrCat("its names are ", absl::StrJoin(listed, ", "));
}

}  // namespace

absl::StatusOr<SpiffeId> ClaimedSpiffeId(const Certificate& certificate) {
  const SubjectAltName* uri = nullptr;
  for (const SubjectAltName& name : certificate.subject_alt_names()) {
    // A NUL ends a string for some readers and not for others: CVE-2025-66220 and its elders.
    if (name.value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("a name of the certificate contains a NUL byte: ", name.ToString()));
    }
    if (name.type != SubjectAltName::Type::kUri) continue;
    if (uri != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("the certificate has more than one URI name, where an identity has ",
                       "exactly one: ", uri->ToString(), " and ", name.ToString()));
    }
    uri = &name;
  }
  if (uri == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate has no URI name and so no identity: ",
                     ListNames(certificate.subject_alt_names())));
  }
  return SpiffeId::Parse(uri->value);
}

}  // namespace heddle::tls
