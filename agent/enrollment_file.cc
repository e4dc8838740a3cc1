#include "agent/enrollment_file.h"

#include "lib/base/file.h"
#include "lib/base/status.h"
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
  TRY_STATUS(ReplaceFile(path_, text, Durability::kProcessCrash));
  written_ = std::move(text);
  return absl::OkStatus();
}

}  // namespace heddle::agent
