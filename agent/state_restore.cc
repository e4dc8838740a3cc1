#include "agent/state_restore.h"

#include <pthread.h>

#include <utility>

#include "agent/state_file.h"
#include "agent/xds/state_store.h"

namespace heddle::agent {

StateRestore::StateRestore(std::string path, NodeDescription node, std::vector<ResourceKind> kinds)
    : path_(std::move(path)),
      session_(builder_, std::move(node), std::move(kinds)),
      thread_([this] { Run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "hd-restore");
}

void StateRestore::Run() {
  const absl::StatusOr<std::string> bytes = StateFile::Read(path_);
  if (!bytes.ok()) return state_.set_value(bytes.status());
  const absl::StatusOr<StateView> stored = ViewState(*bytes);
  if (!stored.ok()) return state_.set_value(stored.status());
  state_.set_value(session_.Restore(*stored));
  session_.HoldRestored(*stored);
}

StateRestore::~StateRestore() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace heddle::agent
