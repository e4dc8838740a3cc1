#include "agent/node/pin_directory.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kStandardMount[] = "/sys/fs/bpf";

bool IsOnBpfFs(const fs::path& path) {
  struct statfs info{};
  return statfs(path.c_str(), &info) == 0 && info.f_type == BPF_FS_MAGIC;
}

bool IsBelow(const fs::path& path, const fs::path& above) {
  const fs::path relative = path.lexically_normal().lexically_relative(above);
  return !relative.empty() && *relative.begin() != "..";
}

absl::Status MakeDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make the directory ", path.c_str()));
  return absl::OkStatus();
}

absl::Status Mount(const fs::path& target) {
  if (mount("bpf", target.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("cannot mount a BPF file system at ", target.c_str()));
  }
  return absl::OkStatus();
}

absl::Status Unlink(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
  }
  return absl::OkStatus();
}

absl::Status RemoveEntries(const fs::path& directory, absl::Status (*remove)(const std::string&)) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_directory()) continue;
    if (absl::Status removed = remove(entry.path().string()); !removed.ok()) return removed;
  }
  if (error && error.value() != ENOENT) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot read ", directory.c_str()));
  }
  fs::remove(directory, error);
  return absl::OkStatus();
}

// "v1", "v2", ...
bool IsVersion(const std::string& name) {
  return name.size() > 1 && name[0] == 'v' &&
         name.find_first_not_of("0123456789", 1) == std::string::npos;
}

}  // namespace

absl::Status PinDirectory::Prepare() const {
  const fs::path root = fs::path(root_).lexically_normal();
  if (IsBelow(root, kStandardMount)) {
    if (!IsOnBpfFs(kStandardMount)) {
      if (absl::Status mounted = Mount(kStandardMount); !mounted.ok()) return mounted;
    }
  } else {
    if (absl::Status made = MakeDirectory(root); !made.ok()) return made;
    if (!IsOnBpfFs(root)) {
      if (absl::Status mounted = Mount(root); !mounted.ok()) return mounted;
    }
  }
  if (absl::Status made = MakeDirectory(root / "maps"); !made.ok()) return made;
  return MakeDirectory(root / "links" / "netns");
}

absl::Status PinDirectory::Purge() const {
  // The hooks go before the maps that they read, as in every other undoing.
  const fs::path root = root_;
  for (const char* links : {"links/netns", "links"})
    TRY_STATUS(RemoveEntries(root / links, DetachLink));
  TRY_STATUS(RemoveEntries(root / "maps", Unlink));
  // Both fail for the root of a file system, and where others have something.
  rmdir(root_.c_str());
  if (IsVersion(root.filename().string())) rmdir(root.parent_path().c_str());
  return absl::OkStatus();
}

std::vector<std::string> PinDirectory::OtherVersions() const {
  std::vector<std::string> others;
  const fs::path root = fs::path(root_).lexically_normal();
  if (!IsVersion(root.filename().string())) return others;
  std::error_code error;
  for (const fs::directory_entry& beside : fs::directory_iterator(root.parent_path(), error)) {
    if (beside.path().filename() == root.filename() ||
        !IsVersion(beside.path().filename().string()))
      continue;
    std::error_code none;
    for (const fs::directory_entry& link : fs::directory_iterator(beside.path() / "links", none)) {
      if (link.is_directory(none)) continue;
      others.push_back(beside.path().string());
      break;
    }
  }
  return others;
}

absl::Status PinDirectory::DetachLink(const std::string& path) {
  if (const UniqueFd link(bpf_obj_get(path.c_str())); link.valid()) bpf_link_detach(link.get());
  return Unlink(path);
}

std::string PinDirectory::NetnsLinkPath(uint64_t netns_cookie) const {
  return absl::StrCat(root_, "/links/netns/", netns_cookie);
}

std::vector<uint64_t> PinDirectory::NetnsLinks() const {
  std::vector<uint64_t> cookies;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(root_) / "links" / "netns", error)) {
    uint64_t cookie = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &cookie)) cookies.push_back(cookie);
  }
  return cookies;
}

}  // namespace heddle::agent
