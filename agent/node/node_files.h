#pragma once

#include <string>
#include <vector>

namespace heddle::agent {

// What an agent keeps in its two directories.
struct NodeDirectories {
  std::string run_dir;
  std::string state_dir;
};

// Those of its files and folders that are there. Blocking.
std::vector<std::string> FindNodeFiles(const NodeDirectories& directories);
// Removes them, and the directories when nothing else is in them (a mount point stays). Names what it
// has removed. Blocking.
std::vector<std::string> RemoveNodeFiles(const NodeDirectories& directories);

}  // namespace heddle::agent
