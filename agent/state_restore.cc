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
  const absl::StatusOr<MappedFile> file = StateFile::Map(path_);
  if (!file.ok()) return state_.set_value(file.status());
  const absl::StatusOr<StateView> stored = ViewState(file->bytes());
  if (!stored.ok()) return state_.set_value(stored.status());
  state_.set_value(session_.Restore(*stored));
  session_.HoldRestored(*stored);
}

StateRestore::~StateRestore() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace heddle::agent
