#include "agent/node/pod_lookup_link.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "agent/node/bpf_object.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

constexpr const char* kProgram[] = {"hd_sk_lookup"};

// The inode number of the netns that the link is attached to; 0 if that netns is gone.
std::optional<uint64_t> NetnsOf(int link) {
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0 || info.type != BPF_LINK_TYPE_NETNS)
    return std::nullopt;
  return info.netns.netns_ino;
}

}  // namespace

absl::StatusOr<PodLookupLinks::Program> PodLookupLinks::Load() const {
  TRY_ASSIGN(BpfObject object, BpfObject::Open());
  object.SelectPrograms(kProgram);
  for (size_t i = 0; i < kMapCount; ++i)
    TRY_STATUS(object.UseMap(kMapNames[i], maps_.fd(static_cast<MapId>(i))));
  TRY_STATUS(object.Load());
  Program loaded{UniqueFd(fcntl(object.program_fd(kProgram[0]), F_DUPFD_CLOEXEC, 3)),
                 UniqueFd(fcntl(object.variables_fd(), F_DUPFD_CLOEXEC, 3))};
  if (!loaded.program.valid() || !loaded.variables.valid())
    return BpfError(errno, "keep hd_sk_lookup");
  return loaded;
}

void PodLookupLinks::Prepare() {
  if (spare_.has_value()) return;
  if (auto loaded = Load(); loaded.ok()) spare_ = *std::move(loaded);
}

absl::StatusOr<UniqueFd> PodLookupLinks::ProgramOf(uint64_t netns_cookie) {
  std::optional<Program> taken = std::exchange(spare_, std::nullopt);
  if (!taken.has_value()) {
    TRY_ASSIGN(taken, Load());
  }
  const uint32_t only = 0;
  const int error = bpf_map_update_elem(taken->variables.get(), &only, &netns_cookie, BPF_ANY);
  if (error != 0) return BpfError(error, "tell hd_sk_lookup its netns");
  return std::move(taken->program);
}

absl::Status PodLookupLinks::Attach(uint64_t netns_cookie, int netns_fd) {
  struct stat netns{};
  if (fstat(netns_fd, &netns) != 0)
    return absl::ErrnoToStatus(errno, "cannot read the pod's netns");
  TRY_ASSIGN(const UniqueFd program, ProgramOf(netns_cookie));
  const std::string path = pins_.NetnsLinkPath(netns_cookie);
  const UniqueFd pinned(bpf_obj_get(path.c_str()));
  if (pinned.valid() && NetnsOf(pinned.get()) == netns.st_ino &&
      bpf_link_update(pinned.get(), program.get(), nullptr) == 0) {
    return absl::OkStatus();
  }
  const UniqueFd link(bpf_link_create(program.get(), netns_fd, BPF_SK_LOOKUP, nullptr));
  if (!link.valid()) return BpfError(errno, "attach hd_sk_lookup to the pod's netns");
  // The new one first: between them there would be a moment without any.
  TRY_STATUS(PinDirectory::DetachLink(path));
  if (const int error = bpf_obj_pin(link.get(), path.c_str()); error != 0) {
    return BpfError(error, absl::StrCat("pin the link of hd_sk_lookup at ", path));
  }
  return absl::OkStatus();
}

bool PodLookupLinks::IsAttached(uint64_t netns_cookie, uint64_t netns_ino) const {
  const UniqueFd link(bpf_obj_get(pins_.NetnsLinkPath(netns_cookie).c_str()));
  return link.valid() && netns_ino != 0 && NetnsOf(link.get()) == netns_ino;
}

bool PodLookupLinks::IsDead(uint64_t netns_cookie) const {
  const UniqueFd link(bpf_obj_get(pins_.NetnsLinkPath(netns_cookie).c_str()));
  return link.valid() && NetnsOf(link.get()) == 0;
}

absl::Status PodLookupLinks::Detach(uint64_t netns_cookie) const {
  return PinDirectory::DetachLink(pins_.NetnsLinkPath(netns_cookie));
}

}  // namespace heddle::agent
