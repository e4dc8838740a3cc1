#include "agent/state_file.h"

#include <algorithm>

#include "agent/xds/state_store.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/io/loop_pool.h"

namespace heddle::agent {
namespace {

// The kinds of a first state come one after the other: one file for all.
constexpr absl::Duration kGather = absl::Milliseconds(20);
// Between two writes of a state that changes all the time.
constexpr absl::Duration kPauseMin = absl::Milliseconds(500);
// A full disk is looked at so often.
constexpr absl::Duration kPauseMax = absl::Minutes(1);

// Runs on the disk's thread.
Task<void> EncodeAndWrite(const HeldResources& held, const std::string& path,
                          absl::Status& status) {
  const auto bytes = EncodeState(held);
  status = bytes.ok() ? ReplaceFile(path, *bytes, Durability::kPowerLoss) : bytes.status();
  co_return;
}

}  // namespace

StateFile::StateFile(io::Loop& loop, io::Loop& disk, std::string path, metrics::Registry& registry)
    : loop_(loop),
      disk_(disk),
      path_(std::move(path)),
      changed_(loop),
      failures_(registry, {"heddle_state_save_failures",
                           "Attempts to save the controller's state on disk that failed"}) {}

absl::StatusOr<MappedFile> StateFile::Map(const std::string& path) {
  auto file = MappedFile::Map(path, kMaxStateFileBytes);
  if (absl::IsOutOfRange(file.status())) return absl::DataLossError(file.status().message());
  return file;
}

Task<bool> StateFile::Save(const DeltaSession& session) {
  dirty_ = false;
  const HeldResources held = session.held();
  absl::Status status = absl::OkStatus();
  absl::AnyInvocable<Task<void>()> write = [&] { return EncodeAndWrite(held, path_, status); };
  co_await io::RunOn(loop_, disk_, std::move(write));
  if (status.ok()) co_return true;
  dirty_ = true;
  failures_.Add();
  LOG_WARN("state.save.failed", KV("error", status));
  co_return false;
}

Task<void> StateFile::Run(const DeltaSession& session, StopToken stop) {
  absl::Duration pause = kPauseMin;
  while (true) {
    while (!dirty_ && !stop.requested()) co_await changed_.Wait(stop);
    if (!dirty_) co_return;
    co_await loop_.Sleep(kGather, stop);
    const bool saved = co_await Save(session);
    if (stop.requested()) co_return;
    pause = saved ? kPauseMin : std::min(2 * pause, kPauseMax);
    co_await loop_.Sleep(pause, stop);
  }
}

Task<void> StateFile::Flush(const DeltaSession& session) {
  if (dirty_) co_await Save(session);
}

}  // namespace heddle::agent
