#include "agent/enrollment_file.h"

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

using cni::NamespaceEnrollment;

// Far above what kMaxNamespaces names need.
constexpr uint64_t kMaxMixedBytes = 1 << 20;

NamespaceEnrollment EnrollmentOf(NamespaceMode mode) {
  switch (mode) {
    case NamespaceMode::kEnrolled: return NamespaceEnrollment::kEnrolled;
    case NamespaceMode::kNone: return NamespaceEnrollment::kNone;
    // An older controller: nothing may be concluded from the pods that are here.
    case NamespaceMode::kUnknown: return NamespaceEnrollment::kMixed;
  }
  return NamespaceEnrollment::kMixed;
}

// Pods in the host's network are enrolled nowhere and pass no plugin.
bool Differs(const NodePod& pod) {
  return !pod.host_network && pod.namespace_mode != NamespaceMode::kUnknown &&
         pod.enrolled != (pod.namespace_mode == NamespaceMode::kEnrolled);
}

}  // namespace

cni::Enrollment CollectEnrollment(const State& state, MixedNamespaces& mixed, absl::Time now) {
  mixed.Expire(now);
  cni::Enrollment enrollment;
  state.node_pods().ForEach([&](const PodUid&, const NodePodRef& pod) {
    if (Differs(*pod)) mixed.Note(pod->name_space, now);
    const NamespaceEnrollment own = EnrollmentOf(pod->namespace_mode);
    const auto [it, added] = enrollment.namespaces.emplace(pod->name_space, own);
    if (!added && it->second != own) it->second = NamespaceEnrollment::kMixed;
  });
  for (auto& [name, value] : enrollment.namespaces) {
    if (mixed.Contains(name)) value = NamespaceEnrollment::kMixed;
  }
  return enrollment;
}

EnrollmentFile::EnrollmentFile(const Clock& clock, Options options)
    : clock_(clock), options_(std::move(options)) {
  const auto text = ReadFile(options_.mixed_path, kMaxMixedBytes);
  if (absl::IsNotFound(text.status())) return;
  auto held = text.ok() ? MixedNamespaces::Decode(*text) : text.status();
  if (held.ok()) {
    mixed_ = *std::move(held);
    mixed_written_ = *text;
    return;
  }
  LOG_WARN("enrollment.memory.unreadable", KV("file", options_.mixed_path),
           KV("error", held.status()));
  mixed_.Distrust(clock_.Wall());
}

absl::Status EnrollmentFile::Update(const State& state) {
  cni::Enrollment enrollment = CollectEnrollment(state, mixed_, clock_.Wall());
  enrollment.exempt_namespaces.insert(options_.exempt_namespaces.begin(),
                                      options_.exempt_namespaces.end());
  // The memory first: an agent that dies in between forgets nothing.
  std::string mixed = mixed_.Encode();
  if (mixed != mixed_written_) {
    TRY_STATUS(ReplaceFile(options_.mixed_path, mixed, Durability::kProcessCrash));
    mixed_written_ = std::move(mixed);
  }
  std::string text = cni::EncodeEnrollment(enrollment);
  if (text == written_) return absl::OkStatus();
  TRY_STATUS(ReplaceFile(options_.path, text, Durability::kProcessCrash));
  written_ = std::move(text);
  return absl::OkStatus();
}

}  // namespace heddle::agent
