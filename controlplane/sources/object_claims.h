#pragma once

#include <absl/container/flat_hash_map.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/decode.h"
#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"

namespace heddle::controlplane::sources {

// Which object is in effect, given what every file says. Pure: files' contents in, differences and
// problems out.
//
//   - A file that cannot be parsed keeps the objects it had; nothing of its new text counts. If it
//     never could be parsed, what can be had of it counts (api::SalvageDocuments).
//   - A refused object keeps its last good version; a policy that never was good is replaced by its
//   stand-in.
//   - An object in two files belongs to the one that had it first (of files read together, the
//   first by name); in the other
//     it is a problem. When the first lets go of it, the other takes over.
//
// Belongs to one thread.
class ObjectClaims {
 public:
  // The file's text was parsed: its objects in order.
  void SetFile(const std::string& file, std::vector<api::Decoded> objects);
  // The file's text cannot be read or parsed. Line 0 means the file as a whole.
  void SetFileProblem(const std::string& file, int line, std::string reason);
  // After SetFileProblem, for a file that never was good: what could be had of it all the same.
  void SetSalvage(const std::string& file, std::vector<api::Decoded> objects);
  bool WasGood(const std::string& file) const;
  void RemoveFile(const std::string& file);

  // Changes of what is in effect since the last call.
  api::StoreDiff TakeDiff();
  // In the order of files and lines. Computed anew: O(files + what may be a problem).
  std::vector<api::Problem> Problems() const;
  // The files that are known, by name.
  std::vector<std::string> Files() const;

 private:
  struct FileState {
    std::vector<api::Decoded> objects;
    std::map<api::ObjectKey, size_t> first;  // Where in `objects` a key appears first.
    std::set<size_t> suspects;  // Those of `objects` that are refused, or given a second time.
    std::optional<api::Problem> problem;
    bool good = false;  // It has been parsed.
  };
  struct KeyState {
    std::string owner;
    std::set<std::string> files;  // All that have it.
    std::optional<api::Object> effective;
    bool stand_in = false;
    std::optional<api::Object> told;  // What the last diff left the store with.
  };

  void SetObjects(const std::string& file, std::vector<api::Decoded> objects);
  void LetGo(const std::string& file, const api::ObjectKey& key);
  void Take(const std::string& file, const api::ObjectKey& key);
  void Resolve(const api::ObjectKey& key);
  api::Problem ProblemOf(const std::string& file, size_t index) const;

  std::map<std::string, FileState> files_;
  std::map<api::ObjectKey, KeyState> keys_;
  std::set<api::ObjectKey> contested_;  // Those that several files have.
  std::set<api::ObjectKey> dirty_;
};

}  // namespace heddle::controlplane::sources
