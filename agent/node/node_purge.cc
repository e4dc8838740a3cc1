#include "agent/node/node_purge.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "agent/node/bpf_attached.h"
#include "agent/node/capture_record.h"
#include "agent/node/cni_binary.h"
#include "agent/node/cni_chain_edit.h"
#include "agent/node/cni_conf_directory.h"
#include "agent/node/netns.h"
#include "agent/node/pin_directory.h"
#include "agent/node/pod_processes.h"
#include "agent/node/pod_sockets.h"
#include "agent/node/process_walk.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kProgramPrefix[] = "hd_";
constexpr char kLeafPrefix[] = "heddle-agent.";
constexpr size_t kStep = 1024;

uint64_t CgroupId(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

// Of the processes of this node.
absl::flat_hash_set<uint64_t> SeenNetns(const std::string& cgroup) {
  absl::flat_hash_set<uint64_t> seen;
  const CgroupSubtree subtree(cgroup);
  ProcessWalk walk;
  while (walk.Step(kStep, [&](const Process& process) {
    if (subtree.Contains(process.Cgroup())) seen.insert(process.Netns());
  })) {
  }
  return seen;
}

void FindPrograms(const NodePlaces& places, std::vector<std::string>& traces) {
  const auto programs = ListAttachedPrograms(kProgramPrefix);
  if (!programs.ok()) {
    traces.push_back(absl::StrCat("what the kernel has attached could not be asked: ",
                                  std::string(programs.status().message())));
    return;
  }
  const uint64_t cgroup = CgroupId(places.cgroup);
  const absl::flat_hash_set<uint64_t> netns = SeenNetns(places.cgroup);
  for (const AttachedProgram& program : *programs) {
    const bool on_cgroup = program.place == AttachedProgram::Place::kCgroup;
    if (on_cgroup ? program.where != cgroup : !netns.contains(program.where)) continue;
    traces.push_back(absl::StrCat("program ", program.name, " is attached to ",
                                  on_cgroup ? absl::StrCat("the cgroup ", places.cgroup)
                                            : absl::StrCat("network namespace ", program.where)));
  }
}

std::vector<std::string> LeafCgroups(const std::string& cgroup) {
  std::vector<std::string> leaves;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(cgroup, error)) {
    if (entry.path().filename().string().starts_with(kLeafPrefix)) leaves.push_back(entry.path());
  }
  return leaves;
}

std::string PluginPath(const NodePlaces& places) {
  return absl::StrCat(places.cni.bin_dir, "/", kCniPluginName);
}

// As a record names it, seen from here.
std::string NetnsPath(const NodePlaces& places, const std::string& path) {
  return path.starts_with("/proc/") ? path : absl::StrCat(places.host_root, path);
}

// The record's own netns, by its path or, when that leads elsewhere, by the pod's processes.
absl::StatusOr<UniqueFd> FindNetns(const NodePlaces& places, const CaptureRecord& record) {
  const std::string path = NetnsPath(places, record.netns_path);
  if (CheckNetnsPath(path, record.netns).ok()) return OpenNetns(path);
  PodSearch search({record.uid}, places.cgroup);
  while (search.Step(kStep)) {
  }
  const auto found = search.found().find(record.uid);
  if (found != search.found().end() && found->second.netns == record.netns)
    return std::move(found->second.netns_fd);
  return absl::NotFoundError("its network namespace is gone");
}

// Runs in the pod's netns.
absl::Status RestoreHere(const CaptureRecord& record) {
  TRY_ASSIGN(const uint64_t cookie, OwnNetnsCookie());
  if (cookie != record.netns_cookie) return absl::NotFoundError("its network namespace is gone");
  const absl::Status delivery = RemoveApplicationDelivery();
  const absl::Status sysctls = RestoreSysctls(record.sysctls_before);
  return delivery.ok() ? sysctls : delivery;
}

absl::Status Restore(const NodePlaces& places, const CaptureRecord& record) {
  TRY_ASSIGN(const UniqueFd netns, FindNetns(places, record));
  absl::Status status;
  // The thread ends in that netns: nothing else ever runs on it.
  std::thread inside([&] {
    status = ::setns(netns.get(), CLONE_NEWNET) == 0
                 ? RestoreHere(record)
                 : absl::ErrnoToStatus(errno, "cannot enter its network namespace");
  });
  inside.join();
  return status;
}

void RestorePods(const NodePlaces& places, Purged& purged) {
  const std::string directory = absl::StrCat(places.directories.run_dir, "/pods");
  if (!IsThere(directory)) return;
  auto records = CaptureRecordStore::Open(directory);
  if (!records.ok()) return purged.failed.push_back(std::string(records.status().message()));
  std::vector<std::string> unreadable;
  for (const CaptureRecord& record : records->Load(unreadable)) {
    const absl::Status restored = Restore(places, record);
    if (restored.ok()) {
      purged.done.push_back(absl::StrCat("pod ", record.PodName(), ": settings restored"));
    } else if (absl::IsNotFound(restored)) {
      purged.done.push_back(absl::StrCat("pod ", record.PodName(), ": is gone already"));
    } else {
      purged.failed.push_back(
          absl::StrCat("pod ", record.PodName(), ": ", std::string(restored.message())));
    }
  }
  for (const std::string& sentence : unreadable) purged.failed.push_back(sentence);
}

void LeaveChain(const NodePlaces& places, Purged& purged) {
  const std::vector<std::string> files = FindCniEntries(places.cni.conf_dir);
  const absl::Status left = RemoveCniEntries(places.cni.conf_dir);
  if (!left.ok()) return purged.failed.push_back(std::string(left.message()));
  for (const std::string& file : files)
    purged.done.push_back(absl::StrCat("entry taken out of ", file));
}

void PlaceStub(const NodePlaces& places, Purged& purged) {
  if (!IsThere(PluginPath(places))) return;
  CniBinary stub(places.stub, places.cni.bin_dir);
  const absl::StatusOr<bool> differs = stub.Differs();
  absl::Status placed = differs.status();
  if (differs.ok() && *differs) placed = stub.Install();
  if (!placed.ok()) {
    purged.failed.push_back(absl::StrCat(PluginPath(places), ": ", std::string(placed.message())));
  } else if (*differs) {
    purged.done.push_back(absl::StrCat(PluginPath(places), " is the stub now"));
  }
}

// Its own, and those of other versions beside them: who goes back to an older release has the newer
// one's to remove.
std::vector<std::string> PinDirectories(const NodePlaces& places) {
  std::vector<std::string> directories = PinDirectory(places.pin_dir).OtherVersions();
  directories.push_back(places.pin_dir);
  return directories;
}

void Detach(const NodePlaces& places, Purged& purged) {
  for (const std::string& directory : PinDirectories(places)) {
    const bool any = IsThere(directory);
    const absl::Status detached = PinDirectory(directory).Purge();
    if (!detached.ok()) {
      purged.failed.push_back(std::string(detached.message()));
    } else if (any) {
      purged.done.push_back(absl::StrCat("programs detached, pins removed: ", directory));
    }
  }
}

std::string SeccompFolder(const NodePlaces& places) {
  return fs::path(places.seccomp_profile).parent_path();
}

// Its folder too, if it is nobody else's.
void RemoveSeccompProfile(const NodePlaces& places, Purged& purged) {
  if (places.seccomp_profile.empty()) return;
  std::error_code error;
  const bool removed = fs::remove(places.seccomp_profile, error);
  if (error)
    return purged.failed.push_back(absl::StrCat(places.seccomp_profile, ": ", error.message()));
  if (removed) purged.done.push_back(absl::StrCat("removed ", places.seccomp_profile));
  const std::string folder = SeccompFolder(places);
  if (::rmdir(folder.c_str()) == 0) purged.done.push_back(absl::StrCat("removed ", folder));
}

}  // namespace

std::vector<std::string> FindKept(const NodePlaces& places) {
  std::vector<std::string> kept;
  if (IsThere(PluginPath(places))) {
    const absl::StatusOr<bool> differs = CniBinary(places.stub, places.cni.bin_dir).Differs();
    if (differs.ok() && !*differs)
      kept.push_back(
          absl::StrCat(PluginPath(places), ": the stub, which the DEL of older sandboxes names"));
  }
  if (!places.seccomp_profile.empty() && IsThere(places.seccomp_profile)) {
    kept.push_back(absl::StrCat(places.seccomp_profile,
                                ": the agents' seccomp profile; their hook takes it away when the "
                                "mesh leaves in order, else `heddlectl purge` does"));
  }
  for (const std::string& folder :
       {places.directories.run_dir, places.directories.state_dir, SeccompFolder(places)}) {
    std::error_code error;
    if (!folder.empty() && fs::is_directory(folder, error) && fs::is_empty(folder, error) && !error)
      kept.push_back(
          absl::StrCat(folder, ": an empty folder that was mounted into the agent's container"));
  }
  return kept;
}

std::vector<std::string> FindTraces(const NodePlaces& places) {
  std::vector<std::string> traces;
  FindPrograms(places, traces);
  for (const std::string& directory : PinDirectories(places)) {
    if (IsThere(directory)) traces.push_back(absl::StrCat("pins in ", directory));
  }
  for (const std::string& file : FindCniEntries(places.cni.conf_dir))
    traces.push_back(absl::StrCat("an entry of ", kCniPluginName, " in ", file));
  if (IsThere(PluginPath(places))) {
    const absl::StatusOr<bool> differs = CniBinary(places.stub, places.cni.bin_dir).Differs();
    if (!differs.ok() || *differs)
      traces.push_back(absl::StrCat(PluginPath(places), " is not the stub"));
  }
  for (const std::string& path : FindNodeFiles(places.directories)) traces.push_back(path);
  for (const std::string& leaf : LeafCgroups(places.cgroup)) traces.push_back(leaf);
  return traces;
}

Purged PurgeNode(const NodePlaces& places) {
  Purged purged;
  LeaveChain(places, purged);
  Detach(places, purged);
  RestorePods(places, purged);
  PlaceStub(places, purged);
  // Records of pods that could not be restored are what the next try needs.
  if (purged.failed.empty()) {
    for (const std::string& path : RemoveNodeFiles(places.directories))
      purged.done.push_back(absl::StrCat("removed ", path));
  }
  RemoveSeccompProfile(places, purged);
  for (const std::string& leaf : LeafCgroups(places.cgroup)) {
    if (::rmdir(leaf.c_str()) == 0) purged.done.push_back(absl::StrCat("removed ", leaf));
  }
  return purged;
}

}  // namespace heddle::agent
