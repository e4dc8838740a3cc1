#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/seams/pod_network.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// Serves nothing, but holds the listeners as the proxy does, and writes down what it was told.
class IdleProxy final : public PodObserver {
 public:
  explicit IdleProxy(io::Loop& loop) : loop_(loop), released_(loop) {}

  Task<void> PodCaptured(std::shared_ptr<PodNetwork> network,
                         std::vector<PodListener> listeners) override {
    const std::string uid = network->pod().uid;
    networks_[uid] = network;
    for (PodListener& listener : listeners) served_[uid][listener.role] = listener.attach(loop_);
    ++captured_total;
    while (held_) co_await released_.Wait({});
  }
  Task<void> PodReleased(std::string uid) override {
    EXPECT_TRUE(served_.contains(uid)) << uid << " is not served";
    if (on_release) on_release();
    served_.erase(uid);
    networks_.erase(uid);
    if (std::exchange(hold_next_release_, false)) co_await released_.Wait({});
  }
  Task<size_t> CountConnections(std::string) override { co_return connections; }

  // From now on a capture does not end before LetGo().
  void Hold() { held_ = true; }
  // The next release, and only that one, does not end before LetGo().
  void HoldNextRelease() { hold_next_release_ = true; }
  void LetGo() {
    held_ = false;
    released_.NotifyAll();
  }
  bool Serves(const std::string& uid) const { return served_.contains(uid); }
  const CapturedPod& Pod(const std::string& uid) const { return networks_.at(uid)->pod(); }
  // As when its socket broke.
  void LoseListener(const std::string& uid, ListenerRole role) { served_[uid].erase(role); }

  int captured_total = 0;
  size_t connections = 0;            // That it says each pod has.
  std::function<void()> on_release;  // Before anything is closed.

 private:
  io::Loop& loop_;
  WaitQueue released_;
  bool held_ = false;
  bool hold_next_release_ = false;
  std::map<std::string, std::map<ListenerRole, std::unique_ptr<io::Listener>>> served_;
  std::map<std::string, std::shared_ptr<PodNetwork>> networks_;
};

}  // namespace heddle::agent
