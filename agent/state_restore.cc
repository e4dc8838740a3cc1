#include "agent/state_restore.h"

#include <pthread.h>

#include <utility>

#include "agent/state_file.h"

namespace heddle::agent {

StateRestore::StateRestore(std::string path, NodeDescription node, std::vector<ResourceKind> kinds)
    : path_(std::move(path)),
      session_(builder_, std::move(node), std::move(kinds)),
      restored_(absl::UnavailableError("the state is still being read")),
      thread_([this] { Run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "hd-restore");
}

void StateRestore::Run() {
  const auto held = StateFile::Load(path_);
  if (held.ok()) {
    restored_ = session_.Restore(*held);
  } else {
    restored_ = held.status();
  }
}

StateRestore::~StateRestore() {
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<StateRef> StateRestore::Wait() {
  thread_.join();
  return std::move(restored_);
}

}  // namespace heddle::agent
