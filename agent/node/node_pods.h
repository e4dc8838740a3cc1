#pragma once

#include "agent/model/state.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// The node's view of the control plane's state: which pods are bound here. Control loop only.
class NodePods {
 public:
  explicit NodePods(io::Loop& loop) : changed_(loop) {}

  // A new state has come.
  void Update(StateRef state) {
    state_ = std::move(state);
    changed_.NotifyAll();
  }
  const StateRef& state() const { return state_; }
  NodePodRef Find(const PodUid& uid) const {
    return state_ == nullptr ? nullptr : state_->FindNodePod(uid);
  }

  // The record of a pod, waited for: at CNI ADD it may be on its way. Null when `stop` fires
  // before.
  Task<NodePodRef> WaitFor(PodUid uid, StopToken stop) {
    while (true) {
      if (NodePodRef pod = Find(uid)) co_return pod;
      if (!co_await changed_.Wait(stop)) co_return nullptr;
    }
  }

 private:
  StateRef state_;
  WaitQueue changed_;
};

}  // namespace heddle::agent
