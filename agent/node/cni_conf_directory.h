#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/node/cni_chain_edit.h"

namespace heddle::agent {

// The directory of CNI configurations that a container runtime reads. Blocking; any thread; one
// writer of ours at a time.
//
// A file is replaced whole: written beside under a name that no runtime loads, with the mode and
// owner of the old one, synced, renamed. If another program has written the file meanwhile, nothing
// is replaced and the next call sees what it wrote. A symbolic link is followed to read and replaced
// by a file to write: what it led to stays as it was.

// Nothing beyond is looked at; a node has a handful.
inline constexpr size_t kMaxCniFiles = 256;
// The names of what we write begin so until they are whole.
inline constexpr char kCniTemporaryPrefix[] = ".heddle-cni";

enum class CniMode : uint8_t { kLook, kRepair };

struct CniConfReport {
  bool installed = false;            // The file that the runtime uses has our entry as wanted.
  bool written = false;              // By this call.
  std::string file;                  // The name of that file, once there is one.
  std::string pending;               // Why it is not installed; a sentence.
  std::vector<std::string> skipped;  // Files that no runtime loads, each with its reason.
};

// Looks for the file that the runtime uses, the first in lexical order that is valid, and puts our
// entry in; with kLook only says what holds. No file, or no directory, is nothing wrong: pending.
CniConfReport InstallCniEntry(const std::string& directory, const CniEntry& entry, CniMode mode);

// Takes our entry out of every list of the directory, and nothing else; lists that were made of
// files with one plugin stay lists. Names the files that it could not treat. OK when there is none.
absl::Status RemoveCniEntries(const std::string& directory);

// The paths of the files that RemoveCniEntries() would change, or cannot although they name our plugin.
std::vector<std::string> FindCniEntries(const std::string& directory);

}  // namespace heddle::agent
