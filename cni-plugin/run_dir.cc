#include "cni-plugin/run_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/unique_fd.h"
#include "lib/cni/json.h"

namespace heddle::cni {
namespace {

std::string LatchPath(const std::string& run_dir) { return run_dir + "/cni-answered"; }

std::optional<std::string> ReadAll(int fd) {
  std::string text;
  char block[16384];
  while (true) {
    const ssize_t length = ::read(fd, block, sizeof(block));
    if (length == 0) return text;
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 || text.size() + static_cast<size_t>(length) > kMaxJsonBytes) return std::nullopt;
    text.append(block, static_cast<size_t>(length));
  }
}

}  // namespace

std::optional<Enrollment> ReadEnrollment(const std::string& run_dir) {
  const std::string path = run_dir + "/" + std::string(kEnrollmentFile);
  // O_NONBLOCK: a FIFO in its place must not hold us.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return std::nullopt;
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  // Whoever could write it could let pods out of the mesh.
  if (info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return std::nullopt;
  const auto text = ReadAll(file.get());
  if (!text) return std::nullopt;
  return DecodeEnrollment(*text);
}

bool HasAnswered(const std::string& run_dir) { return ::access(LatchPath(run_dir).c_str(), F_OK) == 0; }

void RememberAnswer(const std::string& run_dir) {
  const UniqueFd latch(::open(LatchPath(run_dir).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

}  // namespace heddle::cni
