#pragma once

#include <string>

#include "agent/node/cni_binary.h"
#include "agent/node/cni_conf_directory.h"
#include "agent/node/cni_paths.h"
#include "agent/node/cni_repair_pace.h"
#include "agent/node/cni_watch.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// Keeps Heddle's plugin in the node's CNI chain: the program in the runtime's directory of plugins,
// and our entry in the configuration that the runtime uses (cni_conf_directory.h). The program comes
// first, because a chain that names what is not there starts no pod.
//
// What another program takes away is put back at once, and when it insists, with back-off, a hint in
// the log and a metric. What cannot be done is a sentence in pending(), and tried again. Nothing is
// taken away when it ends. Control loop only; files are read and written on `disk`.
class CniInstaller {
 public:
  struct Options {
    CniPaths paths;
    std::string plugin;  // The program to copy.
    std::string stub;    // What stays in its place when Heddle leaves the node.
    CniEntry entry;
    // The file that says that Heddle has left the chain: an agent that is started anew stays out of it,
    // until it hears otherwise. Empty: nothing is remembered.
    std::string left_mark;
  };
  CniInstaller(io::Loop& loop, io::Loop& disk, Options options, metrics::Registry& registry);

  // Until stopped.
  Task<void> Run(StopToken stop);

  // Takes our entry out of the chain; from now on Run() sees that it stays out, until Return(). The
  // program stays: runtimes need it for the DEL of sandboxes that were made with it.
  Task<absl::Status> LeaveChain();
  // Once nothing is captured: the stub in the program's place, for the same DELs.
  Task<absl::Status> PlaceStub();
  void Return() { left_ = false; }
  // By this process, or one before it.
  bool left() const { return left_; }

  // Program and entry are in place, as of the last look.
  bool installed() const { return pending_.empty(); }
  // Why not; a sentence.
  const std::string& pending() const { return pending_; }

 private:
  // What one look found and did.
  struct Outcome {
    std::string binary_pending;
    bool binary_written = false;
    CniConfReport conf;
  };
  // Runs on the disk's thread.
  Task<void> Look(CniMode mode, Outcome& outcome);
  void LookAtBinary(CniMode mode, Outcome& outcome);
  Task<void> Pass();
  void Judge(const Outcome& outcome);
  void CountRepairs(const Outcome& outcome);
  void Tell(const Outcome& outcome, std::string pending);
  Task<void> WaitForChange(StopToken stop);

  io::Loop& loop_;
  io::Loop& disk_;
  const Options options_;
  CniBinary binary_;
  CniBinary stub_;
  bool left_;
  CniWatch watch_;
  CniRepairPace pace_;
  std::string pending_ = "not looked yet";
  bool was_installed_ = false;
  bool looked_only_ = false;          // The last look was not allowed to repair.
  std::vector<std::string> skipped_;  // As told last.
  metrics::Gauge installed_gauge_;
  metrics::Gauge contested_;
  metrics::Counter conf_repairs_;
  metrics::Counter binary_repairs_;
};

}  // namespace heddle::agent
