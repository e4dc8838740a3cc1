#include "controlplane/ca/private_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace heddle::controlplane::ca {
namespace {

absl::Status ErrnoStatus(const std::string& path, const char* act) {
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot ", act));
}

absl::Status WriteAll(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const ssize_t written = ::write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, "write");
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(int fd) {
  std::string contents;
  char chunk[4096];
  while (true) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "read");
    if (got == 0) return contents;
    contents.append(chunk, static_cast<size_t>(got));
    if (contents.size() > kMaxPrivateFileBytes)
      return absl::ResourceExhaustedError("larger than 16 MiB");
  }
}

// So that the new name itself survives a power cut.
void SyncDirectoryOf(const std::string& path) {
  const UniqueFd directory(
      ::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) ::fsync(directory.get());
}

// No node and no file of ours is called so.
std::string TemporaryBeside(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1) + ".new";
}

// The file is still open when it is returned, and gone when this fails.
absl::StatusOr<UniqueFd> WriteTemporary(const std::string& path, std::string_view contents) {
  ::unlink(path.c_str());  // What an earlier process left behind.
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(path, "make this file");
  const absl::Status written = WriteAll(file.get(), contents);
  if (written.ok()) return file;
  ::unlink(path.c_str());
  return Annotate(written, path);
}

}  // namespace

absl::Status MakePrivateDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus(path, "make this directory");
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return ErrnoStatus(path, "look at it");
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a directory"));
  }
  if ((info.st_mode & 022) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": others than its owner can write here, and so replace keys; run: chmod 700 ",
        path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, Secrecy secrecy) {
  // Without O_NONBLOCK a FIFO of that name would hold us up for ever.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(path, "open it");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return ErrnoStatus(path, "look at it");
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is not a regular file"));
  }
  if (secrecy == Secrecy::kSecret && (info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": is a secret that others than its owner can read; replace it, or run: chmod 600 ",
        path));
  }
  auto contents = ReadAll(file.get());
  if (!contents.ok()) return Annotate(contents.status(), path);
  return contents;
}

absl::Status CreatePrivateFile(const std::string& path, std::string_view contents) {
  const std::string temporary = TemporaryBeside(path);
  TRY_ASSIGN(const UniqueFd file, WriteTemporary(temporary, contents));
  absl::Status status;
  if (::fsync(file.get()) != 0) status = ErrnoStatus(path, "write it to the disk");
  // A link and not a rename: it never replaces what is there.
  if (status.ok() && ::link(temporary.c_str(), path.c_str()) != 0)
    status = ErrnoStatus(path, "make this file");
  ::unlink(temporary.c_str());
  if (status.ok()) SyncDirectoryOf(path);
  return status;
}

absl::Status ReplacePrivateFile(const std::string& path, std::string_view contents) {
  const std::string temporary = TemporaryBeside(path);
  TRY_STATUS(WriteTemporary(temporary, contents).status());
  if (::rename(temporary.c_str(), path.c_str()) == 0) return absl::OkStatus();
  const absl::Status status = ErrnoStatus(path, "replace it");
  ::unlink(temporary.c_str());
  return status;
}

}  // namespace heddle::controlplane::ca
