#include "lib/base/file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace heddle {
namespace {

// What is read at once beyond the size that the file had when it was opened, to see its end.
constexpr size_t kReadAhead = 4096;

absl::Status Failure(std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(std::string(what), " ", path));
}

absl::Status WriteNew(const std::string& path, std::string_view bytes, Durability durability) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return Failure("create", path);
  while (!bytes.empty()) {
    const ssize_t written = TEMP_FAILURE_RETRY(::write(fd.get(), bytes.data(), bytes.size()));
    if (written < 0) return Failure("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (durability == Durability::kPowerLoss && TEMP_FAILURE_RETRY(::fdatasync(fd.get())) != 0)
    return Failure("sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReplaceFile(const std::string& path, std::string_view bytes, Durability durability) {
  const std::string temporary = absl::StrCat(path, ".new");
  absl::Status status = WriteNew(temporary, bytes, durability);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0)
    status = Failure("replace", path);
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t size_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Failure("open", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return Failure("look at", path);
  std::string bytes;
  size_t length = 0;
  auto room = static_cast<uint64_t>(info.st_size);
  while (true) {
    if (std::max<uint64_t>(length, room) > size_max)
      return absl::OutOfRangeError(absl::StrCat(path, " is longer than ", size_max, " bytes"));
    ssize_t got = 0;
    // Not resize(), which writes zeros first.
    bytes.resize_and_overwrite(std::max<size_t>(room, length) + kReadAhead, [&](char* data, size_t size) {
      got = TEMP_FAILURE_RETRY(::read(fd.get(), data + length, size - length));
      return length + static_cast<size_t>(std::max<ssize_t>(got, 0));
    });
    if (got < 0) return Failure("read", path);
    if (got == 0) break;
    length += static_cast<size_t>(got);
  }
  return bytes;
}

absl::StatusOr<MappedFile> MappedFile::Map(const std::string& path, uint64_t size_max) {
  // A pipe in its place would else be waited for.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return Failure("open", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return Failure("look at", path);
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is no regular file"));
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > size_max) return absl::OutOfRangeError(absl::StrCat(path, " is longer than ", size_max, " bytes"));
  if (size == 0) return MappedFile({});
  void* const at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) return Failure("map", path);
  MappedFile file(std::string_view(static_cast<const char*>(at), size));
  // All of it at once, and as an error what would else be a signal.
  if (::madvise(at, size, MADV_POPULATE_READ) != 0) return Failure("read", path);
  return file;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

bool IsThere(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace heddle
