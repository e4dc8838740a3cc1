#pragma once

#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/decode.h"
#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/sources/file_objects.h"

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
// An object that comes anew and is what it was stays the one that it was: the store has that one. Belongs to
// one thread.
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
    FileObjects objects;
    std::optional<api::Problem> problem;
    bool good = false;  // It has been parsed.
  };
  using FileTable = std::map<std::string, FileState>;

  // A key that one file has, whose good object there is in effect: all but a few are such. Hashes and
  // compares as its object, so that no name is held a second time.
  struct Settled {
    FileTable::value_type* file;
    uint32_t claim;  // Among the file's.
    FileObjects::Claim& get() const { return file->second.objects.claims[claim]; }
    KeyView key() const { return KeyView(get().object); }
  };
  struct HashOfKey {
    using is_transparent = void;
    size_t operator()(const Settled& settled) const { return settled.key().Hash(); }
    size_t operator()(const KeyView& key) const { return key.Hash(); }
  };
  struct SameKey {
    using is_transparent = void;
    bool operator()(const Settled& a, const Settled& b) const { return a.key() == b.key(); }
    bool operator()(const Settled& a, const KeyView& b) const { return a.key() == b; }
  };
  // Any other key; and between a change and TakeDiff() each that the change is about.
  struct Unsettled {
    std::string owner;
    std::map<std::string, uint32_t> files;  // All that have it, and where in them.
    std::optional<api::Object> effective;   // As the last diff left it.
    bool stand_in = false;
  };

  void SetObjects(const std::string& file, std::vector<api::Decoded> objects);
  void LetGo(FileTable::value_type& file);
  // As it was at the last diff.
  Unsettled& Unsettle(const api::ObjectKey& key);
  void Resolve(Unsettled& state);
  bool TrySettle(const Unsettled& state);
  api::Problem ProblemOf(const std::string& file, const FileObjects::Suspect& suspect) const;

  FileTable files_;
  absl::flat_hash_set<Settled, HashOfKey, SameKey> settled_;
  std::map<api::ObjectKey, Unsettled> unsettled_;
  std::set<api::ObjectKey> dirty_;  // Of the unsettled ones.
};

}  // namespace heddle::controlplane::sources
