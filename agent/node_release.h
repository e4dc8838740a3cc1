#pragma once

#include <absl/functional/any_invocable.h>

#include <optional>
#include <string>

#include "agent/node/bpf_loader.h"
#include "agent/node/cni_installer.h"
#include "agent/node/pod_registry.h"
#include "agent/node/removal_follower.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// The mesh leaves this node, because a controller says so (decision 014), step by step and level by
// level: what is asked is compared with what is, so that neither a step that fails nor an order that
// is given twice does harm.
//
//   leave the chain      new pods start without us, whatever becomes of this process
//   let pods leave       as when they are unlabelled: nothing new is carried, what is open goes on
//   stub for the plugin  DELs of sandboxes that name it still succeed
//   programs and pins    off, and gone
//   gone                 all of that asked of the kernel and the files, and again every 10 s
//
// Taken back before the programs are off, pods and entry come back; after that the agent starts over.
// Control loop.
class NodeRelease {
 public:
  struct Parts {
    io::Loop& loop;
    PodRegistry& pods;
    BpfLoader& bpf;
    CniInstaller* installer;          // Null: the chain is made by hand, and left so.
    absl::AnyInvocable<void()> look;  // Has the pods reconciled.
    absl::AnyInvocable<void(RemovalReport)> report;
    absl::AnyInvocable<void()> start_over;
  };
  explicit NodeRelease(Parts parts) : parts_(std::move(parts)), ordered_(parts_.loop) {}

  void Order(const RemovalOrder& order);
  // Until stopped.
  Task<void> Run(StopToken stop);

  bool leaving() const { return leaving_; }
  // The programs are off, or about to be.
  bool kernel_released() const { return kernel_released_; }
  bool gone() const { return gone_; }
  bool starts_over() const { return starts_over_; }

 private:
  Task<void> Step();
  Task<absl::Status> Leave();
  void ComeBack();

  Parts parts_;
  Event ordered_;
  std::optional<RemovalOrder> order_;  // None has come: what a process before this one did stays.
  std::string told_;  // In the log.
  bool leaving_ = false;
  bool kernel_released_ = false;
  bool gone_ = false;
  bool starts_over_ = false;
};

}  // namespace heddle::agent
