#include "agent/node/cni_binary.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/node/cni_conf_directory.h"
#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {
namespace {

// The plugin is below 2 MiB; with symbols and sanitizers it is not.
constexpr uint64_t kMaxBinaryBytes = 256u << 20;
constexpr mode_t kMode = 0755;

absl::Status Failure(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status Fill(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = TEMP_FAILURE_RETRY(::write(fd, bytes.data(), bytes.size()));
    if (written < 0) return Failure("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (::fchmod(fd, kMode) != 0) return Failure("set the mode of", path);
  if (TEMP_FAILURE_RETRY(::fsync(fd)) != 0) return Failure("sync", path);
  return absl::OkStatus();
}

}  // namespace

CniBinary::CniBinary(std::string source, const std::string& directory)
    : source_(std::move(source)),
      target_(absl::StrCat(directory, "/", kCniPluginName)),
      temporary_(absl::StrCat(directory, "/", kCniTemporaryPrefix, "-bin.tmp")) {}

CniBinary::Stamp CniBinary::StampOf(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return {};
  return {static_cast<int64_t>(info.st_dev),
          static_cast<int64_t>(info.st_ino),
          static_cast<int64_t>(info.st_size),
          static_cast<int64_t>(info.st_mode),
          static_cast<int64_t>(info.st_uid),
          info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
          info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec};
}

absl::StatusOr<bool> CniBinary::Differs() {
  const Stamp source = StampOf(source_);
  const Stamp target = StampOf(target_);
  if (target != Stamp{} && source == source_stamp_ && target == target_stamp_) return false;
  TRY_ASSIGN(const std::string wanted, ReadFile(source_, kMaxBinaryBytes));
  struct stat info{};
  // Not through a link: what it leads to may change without us.
  if (::lstat(target_.c_str(), &info) != 0) return true;
  if (!S_ISREG(info.st_mode) || (info.st_mode & 07777) != kMode || info.st_uid != ::geteuid())
    return true;
  if (static_cast<uint64_t>(info.st_size) != wanted.size()) return true;
  TRY_ASSIGN(const std::string there, ReadFile(target_, kMaxBinaryBytes));
  if (there != wanted) return true;
  source_stamp_ = source;
  target_stamp_ = target;
  return false;
}

absl::Status CniBinary::Install() {
  TRY_ASSIGN(const std::string bytes, ReadFile(source_, kMaxBinaryBytes));
  ::unlink(temporary_.c_str());
  UniqueFd fd(
      ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!fd.valid()) return Failure("create", temporary_);
  absl::Status status = Fill(fd.get(), bytes, temporary_);
  fd.Reset();  // A program that somebody holds open for writing cannot be run.
  if (status.ok() && ::rename(temporary_.c_str(), target_.c_str()) != 0)
    status = Failure("replace", target_);
  if (!status.ok()) ::unlink(temporary_.c_str());
  return status;
}

}  // namespace heddle::agent
