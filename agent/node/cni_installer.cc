#include "agent/node/cni_installer.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <poll.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/io/loop_pool.h"
#include "lib/io/socket.h"

namespace heddle::agent {
namespace {

// What inotify does not tell is found so late.
constexpr absl::Duration kRecheckInterval = absl::Seconds(10);
// While a directory is not there, or cannot be watched.
constexpr absl::Duration kPollInterval = absl::Seconds(1);
// Another program that writes file after file is looked at once for all.
constexpr absl::Duration kGather = absl::Milliseconds(20);

constexpr char kHint[] =
    "another program takes it out again and again; if it is a CNI plugin's agent, tell it to leave "
    "the configuration to others (Cilium: cni.exclusive=false)";

// The mark first: whoever starts from now on stays out.
Task<void> Leave(const CniInstaller::Options& options, absl::Status& status) {
  if (!options.left_mark.empty() && !IsThere(options.left_mark))
    status = ReplaceFile(options.left_mark, "", Durability::kPowerLoss);
  if (status.ok()) status = RemoveCniEntries(options.paths.conf_dir);
  co_return;
}

Task<void> Place(CniBinary& binary, absl::Status& status) {
  const absl::StatusOr<bool> differs = binary.Differs();
  status = differs.status();
  if (differs.ok() && *differs) status = binary.Install();
  co_return;
}

}  // namespace

CniInstaller::CniInstaller(io::Loop& loop, io::Loop& disk, Options options,
                           metrics::Registry& registry)
    : loop_(loop),
      disk_(disk),
      options_(std::move(options)),
      binary_(options_.plugin, options_.paths.bin_dir),
      stub_(options_.stub, options_.paths.bin_dir),
      left_(IsThere(options_.left_mark)),
      watch_({options_.paths.conf_dir, options_.paths.bin_dir}),
      installed_gauge_(registry, {"heddle_cni_installed",
                                  "Whether the CNI plugin and its entry in the runtime's "
                                  "configuration are in place"}),
      contested_(registry, {"heddle_cni_contested",
                            "Whether another program keeps taking away what this agent installs"}),
      conf_repairs_(registry, {"heddle_cni_repairs",
                               "Times that what another program took away was put back",
                               {{"what", "configuration"}}}),
      binary_repairs_(registry, {"heddle_cni_repairs",
                                 "Times that what another program took away was put back",
                                 {{"what", "binary"}}}) {}

void CniInstaller::LookAtBinary(CniMode mode, Outcome& outcome) {
  absl::StatusOr<bool> differs = binary_.Differs();
  if (differs.ok() && *differs && mode == CniMode::kRepair) {
    const absl::Status installed = binary_.Install();
    outcome.binary_written = installed.ok();
    differs = installed.ok() ? binary_.Differs() : installed;
  }
  if (!differs.ok())
    outcome.binary_pending = std::string(differs.status().message());
  else if (*differs)
    outcome.binary_pending =
        absl::StrCat(kCniPluginName, " in ", options_.paths.bin_dir, " is not this agent's");
}

Task<void> CniInstaller::Look(CniMode mode, Outcome& outcome) {
  if (!options_.left_mark.empty()) ::unlink(options_.left_mark.c_str());
  LookAtBinary(mode, outcome);
  const CniMode conf_mode = outcome.binary_pending.empty() ? mode : CniMode::kLook;
  outcome.conf = InstallCniEntry(options_.paths.conf_dir, options_.entry, conf_mode);
  co_return;
}

void CniInstaller::CountRepairs(const Outcome& outcome) {
  if (!outcome.conf.written && !outcome.binary_written) return;
  if (!was_installed_) return;
  pace_.Repaired(loop_.Now());
  const bool contested = pace_.Contested(loop_.Now());
  const char* hint = contested ? kHint : "";
  if (outcome.conf.written) {
    conf_repairs_.Add();
    LOG_WARN("cni.configuration.repaired", KV("file", outcome.conf.file), KV("hint", hint));
  }
  if (outcome.binary_written) {
    binary_repairs_.Add();
    LOG_WARN("cni.binary.repaired", KV("directory", options_.paths.bin_dir), KV("hint", hint));
  }
}

// Says what has changed, once.
void CniInstaller::Tell(const Outcome& outcome, std::string pending) {
  if (outcome.conf.skipped != skipped_) {
    skipped_ = outcome.conf.skipped;
    if (!skipped_.empty())
      LOG_WARN("cni.configuration.skipped", KV("files", absl::StrJoin(skipped_, "; ")));
  }
  if (pending == pending_) return;
  pending_ = std::move(pending);
  if (pending_.empty()) {
    LOG_INFO("cni.installed",
             KV("file", absl::StrCat(options_.paths.conf_dir, "/", outcome.conf.file)),
             KV("plugins", options_.paths.bin_dir));
  } else if (outcome.binary_pending.empty() && outcome.conf.file.empty() && !was_installed_) {
    LOG_INFO("cni.waiting", KV("for", pending_));  // A new node: its network comes later.
  } else {
    LOG_WARN("cni.pending", KV("reason", pending_));
  }
}

void CniInstaller::Judge(const Outcome& outcome) {
  CountRepairs(outcome);
  std::string pending = outcome.binary_pending;
  if (pending.empty() && !outcome.conf.installed) pending = outcome.conf.pending;
  const bool contested = pace_.Contested(loop_.Now());
  if (!pending.empty() && contested) absl::StrAppend(&pending, "; ", kHint);
  Tell(outcome, std::move(pending));
  was_installed_ = was_installed_ || installed();
  installed_gauge_.Set(installed() ? 1 : 0);
  contested_.Set(contested ? 1 : 0);
}

// A look that is under way on the disk's thread ends before this begins there.
Task<absl::Status> CniInstaller::LeaveChain() {
  left_ = true;
  was_installed_ = false;
  pending_ = "Heddle leaves this node";
  installed_gauge_.Set(0);
  absl::Status status;
  absl::AnyInvocable<Task<void>()> leave = [&] { return Leave(options_, status); };
  co_await io::RunOn(loop_, disk_, std::move(leave));
  co_return status;
}

Task<absl::Status> CniInstaller::PlaceStub() {
  absl::Status status;
  absl::AnyInvocable<Task<void>()> place = [&] { return Place(stub_, status); };
  co_await io::RunOn(loop_, disk_, std::move(place));
  co_return status;
}

Task<void> CniInstaller::Pass() {
  watch_.Refresh();
  if (left_) {
    const absl::Status left = co_await LeaveChain();
    if (!left.ok()) LOG_WARN("cni.leave.failed", KV("error", left));
    co_return;
  }
  looked_only_ = !pace_.MayRepair(loop_.Now());
  const CniMode mode = looked_only_ ? CniMode::kLook : CniMode::kRepair;
  Outcome outcome;
  absl::AnyInvocable<Task<void>()> look = [&] { return Look(mode, outcome); };
  co_await io::RunOn(loop_, disk_, std::move(look));
  if (!left_) Judge(outcome);
}

Task<void> CniInstaller::WaitForChange(StopToken stop) {
  MonotonicTime until = loop_.Now() + kRecheckInterval;
  if (!installed() && looked_only_) until = std::min(until, pace_.next());
  if (!watch_.complete()) until = std::min(until, loop_.Now() + kPollInterval);
  while (!stop.requested() && loop_.Now() < until) {
    const absl::Duration left = until - loop_.Now();
    if (watch_.fd() < 0) {
      co_await loop_.Sleep(left, stop);
      continue;
    }
    Deadline soon(loop_, stop, left);
    const auto ready = co_await io::WaitReady(loop_, watch_.fd(), POLLIN, soon.token());
    if (ready && watch_.Drain()) break;
    if (!ready && !ready.error().stopped())
      co_await loop_.Sleep(std::min(left, kPollInterval), stop);
  }
  co_await loop_.Sleep(kGather, stop);
}

Task<void> CniInstaller::Run(StopToken stop) {
  while (!stop.requested()) {
    co_await Pass();
    co_await WaitForChange(stop);
  }
}

}  // namespace heddle::agent
