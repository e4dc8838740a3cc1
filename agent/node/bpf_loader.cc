#include "agent/node/bpf_loader.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/base/status.h"

namespace heddle::agent {
namespace {

// In the order of attaching: connect comes last, so that nothing is redirected before everything
// else is there.
constexpr const char* kCgroupPrograms[] = {
    "hd_sock_create", "hd_sock_release", "hd_egress",       "hd_sockops",  "hd_bind4",
    "hd_bind6",       "hd_getpeername4", "hd_getpeername6", "hd_connect4", "hd_connect6",
};

absl::StatusOr<UniqueFd> OpenCgroup(const std::string& path) {
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the cgroup ", path));
  struct statfs info{};
  if (fstatfs(directory.get(), &info) != 0 || info.f_type != CGROUP2_SUPER_MAGIC) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " is not on cgroup2; give the real root of cgroup2 as --cgroup (often "
                     "/sys/fs/cgroup, on hybrid hosts "
                     "/sys/fs/cgroup/unified)"));
  }
  return directory;
}

absl::StatusOr<uint64_t> CgroupId(int directory) {
  struct stat info{};
  if (fstat(directory, &info) != 0)
    return absl::ErrnoToStatus(errno, "cannot read the cgroup's id");
  return static_cast<uint64_t>(
      info.st_ino);  // On 64-bit kernels kernfs uses the id as inode number.
}

absl::StatusOr<uint64_t> OwnNetnsCookie() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket.valid() ||
      getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return absl::ErrnoToStatus(
        errno, "cannot read the cookie of the agent's own netns (SO_NETNS_COOKIE, kernel 5.14)");
  }
  return cookie;
}

absl::Status PinMaps(BpfObject& object, const PinDirectory& pins, const BpfLoaderOptions& options) {
  for (size_t i = 0; i < kMapCount; ++i) {
    uint32_t entries = 0;
    if (i == static_cast<size_t>(MapId::kOrigdst)) entries = options.origdst_entries_max;
    if (i == static_cast<size_t>(MapId::kBypass)) entries = options.bypass_entries_max;
    TRY_STATUS(object.PinMap(kMapNames[i], pins.MapPath(kMapNames[i]), entries));
  }
  return absl::OkStatus();
}

// Two versions of the hooks on one cgroup would each redirect and refuse by maps of their own.
absl::Status CheckNoOtherVersion(const PinDirectory& pins) {
  const std::vector<std::string> others = pins.OtherVersions();
  if (others.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("programs of another version of Heddle are attached, pinned at ", others.front(),
                   "; this agent pins at ", pins.root(),
                   ": start the agent that made them, or drain the node and remove them with "
                   "`heddlectl purge`"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BpfLoader>> BpfLoader::Load(const BpfLoaderOptions& options) {
  PinDirectory pins(options.pin_dir);
  TRY_ASSIGN(UniqueFd cgroup, OpenCgroup(options.cgroup));
  TRY_ASSIGN(const uint64_t cgroup_id, CgroupId(cgroup.get()));
  TRY_ASSIGN(const uint64_t host_netns_cookie, OwnNetnsCookie());
  TRY_STATUS(CheckNoOtherVersion(pins));
  TRY_STATUS(pins.Prepare());
  const std::string cfg_path = pins.MapPath("hd_cfg");
  TRY_STATUS(CheckSchemaVersion(cfg_path));
  const bool fresh = access(cfg_path.c_str(), F_OK) != 0;

  auto load = [&]() -> absl::StatusOr<std::unique_ptr<BpfLoader>> {
    TRY_ASSIGN(BpfObject object, BpfObject::Open());
    object.SelectPrograms(kCgroupPrograms);
    TRY_STATUS(PinMaps(object, pins, options));
    TRY_STATUS(object.Load());
    TRY_ASSIGN(BpfMaps maps, BpfMaps::FromObject(object));
    TRY_ASSIGN(BpfSettings settings, BpfSettings::Open(maps, host_netns_cookie));
    std::unique_ptr<BpfLoader> loader(new BpfLoader(pins, std::move(cgroup), std::move(object),
                                                    std::move(maps), std::move(settings)));
    loader->cgroup_id_ = cgroup_id;
    TRY_STATUS(loader->AttachAll());
    return loader;
  };
  absl::StatusOr<std::unique_ptr<BpfLoader>> loader = load();
  if (!loader.ok() && fresh) (void)pins.Purge();  // The first error is the one to report.
  return loader;
}

BpfLoader::BpfLoader(PinDirectory pins, UniqueFd cgroup, BpfObject object, BpfMaps maps,
                     BpfSettings settings)
    : pins_(std::move(pins)),
      cgroup_(std::move(cgroup)),
      object_(std::move(object)),
      maps_(std::move(maps)),
      settings_(std::move(settings)) {}

BpfLoader::~BpfLoader() = default;

absl::Status BpfLoader::AttachAll() {
  std::vector<const char*> made;
  for (const char* program : kCgroupPrograms) {
    const bool existed = access(pins_.LinkPath(program).c_str(), F_OK) == 0;
    Link& link = links_.emplace_back(program, UniqueFd());
    if (absl::Status attached = Attach(link); !attached.ok()) {
      for (auto undo = made.rbegin(); undo != made.rend(); ++undo)
        (void)PinDirectory::DetachLink(pins_.LinkPath(*undo));
      return attached;
    }
    if (!existed) made.push_back(program);
  }
  return absl::OkStatus();
}

// An adopted link that is in its place gets our program in one step; anything else is replaced.
absl::Status BpfLoader::Attach(Link& link) {
  link.fd = UniqueFd(bpf_obj_get(pins_.LinkPath(link.program).c_str()));
  if (link.fd.valid() && IsAttached(link) &&
      bpf_link_update(link.fd.get(), object_.program_fd(link.program), nullptr) == 0) {
    return absl::OkStatus();
  }
  TRY_ASSIGN(link.fd, AttachAnew(link.program));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> BpfLoader::AttachAnew(const char* program) const {
  const std::string path = pins_.LinkPath(program);
  UniqueFd link(bpf_link_create(object_.program_fd(program), cgroup_.get(),
                                static_cast<bpf_attach_type>(object_.attach_type(program)),
                                nullptr));
  if (!link.valid()) return BpfError(errno, absl::StrCat("attach ", program, " to the cgroup"));
  // The new one first: between them there would be a moment without any.
  TRY_STATUS(PinDirectory::DetachLink(path));
  if (const int error = bpf_obj_pin(link.get(), path.c_str()); error != 0) {
    return BpfError(error, absl::StrCat("pin the link of ", program, " at ", path));
  }
  return link;
}

bool BpfLoader::IsAttached(const Link& link) const {
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link.fd.get(), &info, &size) != 0) return false;
  return info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == cgroup_id_ &&
         static_cast<int>(info.cgroup.attach_type) == object_.attach_type(link.program);
}

absl::Status BpfLoader::Release() {
  TRY_STATUS(pins_.Purge());
  for (const Link& link : links_) {
    // Whose pin somebody else has taken away.
    if (IsAttached(link)) bpf_link_detach(link.fd.get());
    if (IsAttached(link))
      return absl::InternalError(absl::StrCat(link.program, " is still attached to the cgroup"));
  }
  if (access(pins_.MapPath("").c_str(), F_OK) == 0)
    return absl::InternalError(absl::StrCat("there are still pins in ", pins_.root()));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> BpfLoader::Repair() {
  std::vector<std::string> repaired;
  for (Link& link : links_) {
    const std::string path = pins_.LinkPath(link.program);
    const bool attached = IsAttached(link);
    if (attached && access(path.c_str(), F_OK) == 0) continue;
    repaired.emplace_back(link.program);
    if (attached) {
      if (const int error = bpf_obj_pin(link.fd.get(), path.c_str()); error != 0) {
        return BpfError(error, absl::StrCat("pin the link of ", link.program, " at ", path));
      }
      continue;
    }
    TRY_ASSIGN(link.fd, AttachAnew(link.program));
  }
  return repaired;
}

}  // namespace heddle::agent
