#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/sources/object_claims.h"
#include "controlplane/sources/source.h"
#include "lib/base/unique_fd.h"
#include "lib/io/loop.h"

namespace heddle::controlplane::sources {

// Largest file that is read: a dump of some thousand objects.
inline constexpr size_t kMaxFileBytes = 16 * 1024 * 1024;
// Most files of a directory.
inline constexpr size_t kMaxFiles = 10'000;

// True for the files of a source directory: *.yaml, *.yml, *.json that do not begin with '.'
// (editors' temporary files do, or have other endings).
bool IsSourceFile(std::string_view name);

// A directory of Kubernetes YAML, watched. Subdirectories are not read. Files are read when they
// are closed after writing or moved into place, so write to another name and rename: readers then
// never see half a file. A directory that a ConfigMap is mounted on works too (its ..data link is
// watched).
//
// Reads files synchronously, in Poll().
class DirectorySource final : public Source {
 public:
  // Errors: not a directory, or it cannot be watched.
  static absl::StatusOr<std::unique_ptr<DirectorySource>> Open(io::Loop& loop, std::string path);

  // Sets `changed` every second as well: a directory that was gone is picked up when it is back, of
  // which inotify says nothing.
  Task<void> Run(Event& changed, StopToken stop) override;
  // Readable when Poll() has something to do.
  int fd() const { return inotify_.get(); }
  // The first call reads everything. Never fails: what cannot be read is a problem, and its last
  // good objects stay, also when the whole directory goes away.
  api::StoreDiff Poll() override;
  bool synced() const override { return synced_; }
  const std::vector<api::Problem>& problems() const override { return problems_; }
  const std::string& path() const { return path_; }

 private:
  DirectorySource(io::Loop& loop, std::string path, UniqueFd inotify)
      : loop_(loop), path_(std::move(path)), inotify_(std::move(inotify)) {}

  // Starts to watch the directory; false if it is not there.
  absl::Status Watch();
  void ReadEvents();
  void OnEvent(uint32_t mask, std::string_view name);
  // Whether the path still leads to the directory that is watched.
  void LookAtPath();
  void LoseDirectory();
  void ReadAll();
  void ReadFile(const std::string& name);

  io::Loop& loop_;
  const std::string path_;
  UniqueFd inotify_;
  UniqueFd directory_;
  int watch_ = -1;
  bool read_all_ = true;
  bool changed_ = false;
  bool synced_ = false;
  std::set<std::string> pending_;
  ObjectClaims claims_;
  std::string directory_problem_;
  std::vector<api::Problem> problems_;
};

}  // namespace heddle::controlplane::sources
