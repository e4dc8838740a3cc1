#include "agent/state_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/xds/state_store.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {
namespace {

// Changes that come in a burst are written once.
constexpr absl::Duration kSaveInterval = absl::Milliseconds(500);

absl::Status ErrnoStatus(std::string_view what, const std::string& path) {
  return absl::InternalError(
      absl::StrCat(std::string(what), " ", path, ": ", std::strerror(errno)));
}

absl::Status WriteFile(const std::string& path, std::string_view bytes) {
  const std::string temporary = absl::StrCat(path, ".new");
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus("create", temporary);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0) return ErrnoStatus("write", temporary);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (::fdatasync(fd.get()) != 0) return ErrnoStatus("sync", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus("rename to", path);
  return absl::OkStatus();
}

// Runs on the disk thread.
Task<void> EncodeAndWrite(const HeldResources& held, const std::string& path,
                          absl::Status& status) {
  const auto bytes = EncodeState(held);
  status = bytes.ok() ? WriteFile(path, *bytes) : bytes.status();
  co_return;
}

}  // namespace

StateFile::StateFile(io::Loop& loop, std::string path)
    : loop_(loop),
      path_(std::move(path)),
      disk_(loop.clock(), 1, "hd-disk", io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      changed_(loop) {}

absl::StatusOr<HeldResources> StateFile::Load() const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return absl::NotFoundError(absl::StrCat(path_, ": ", std::strerror(errno)));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("stat", path_);
  if (static_cast<uint64_t>(info.st_size) > kMaxStateFileBytes)
    return absl::DataLossError(absl::StrCat(path_, " is too large"));
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
  if (got != static_cast<ssize_t>(bytes.size())) return ErrnoStatus("read", path_);
  return DecodeState(bytes);
}

Task<void> StateFile::Save(HeldResources held) {
  absl::Status status = absl::OkStatus();
  absl::AnyInvocable<Task<void>()> write = [&] { return EncodeAndWrite(held, path_, status); };
  co_await io::RunOn(loop_, disk_.loop(0), std::move(write));
  if (status.ok()) co_return;
  ++failures_total_;
  LOG_WARN("state.save.failed", KV("error", status));
}

Task<void> StateFile::Run(const DeltaSession& session, StopToken stop) {
  while (!stop.requested()) {
    while (!dirty_) {
      if (!co_await changed_.Wait(stop)) break;
    }
    co_await loop_.Sleep(kSaveInterval, stop);
    if (!std::exchange(dirty_, false)) continue;
    co_await Save(session.held());
  }
}

}  // namespace heddle::agent
