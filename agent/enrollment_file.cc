#include "agent/enrollment_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"
#include "lib/cni/enrollment.h"

namespace heddle::agent {
namespace {

cni::Enrollment Collect(const State& state, const std::vector<std::string>& exempt_namespaces) {
  cni::Enrollment enrollment;
  enrollment.exempt_namespaces.insert(exempt_namespaces.begin(), exempt_namespaces.end());
  state.node_pods().ForEach([&enrollment](const PodUid&, const NodePodRef& pod) {
    const auto own =
        pod->enrolled ? cni::NamespaceEnrollment::kEnrolled : cni::NamespaceEnrollment::kNone;
    const auto [it, added] = enrollment.namespaces.emplace(pod->name_space, own);
    if (!added && it->second != own) it->second = cni::NamespaceEnrollment::kMixed;
  });
  return enrollment;
}

}  // namespace

absl::Status EnrollmentFile::Update(const State& state) {
  std::string text = cni::EncodeEnrollment(Collect(state, exempt_namespaces_));
  if (text == written_) return absl::OkStatus();
  const std::string temporary = absl::StrCat(path_, ".new");
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const bool complete = fd.valid() && ::write(fd.get(), text.data(), text.size()) ==
                                          static_cast<ssize_t>(text.size());
  if (!complete || ::rename(temporary.c_str(), path_.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("write ", path_, ": ", std::strerror(errno)));
  }
  written_ = std::move(text);
  return absl::OkStatus();
}

}  // namespace heddle::agent
