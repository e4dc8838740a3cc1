#include "agent/node/node_files.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <filesystem>

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

// Each with the ".new" beside it that a replacement may leave.
constexpr const char* kInRunDir[] = {"cni.sock",     "admin.sock", "handover.sock", "enroll.json",
                                     "cni-answered", "pods",       "certificates"};
constexpr const char* kInStateDir[] = {"state", "mixed-namespaces.json", "left-the-chain"};

template <typename Names>
void FindIn(const std::string& directory, const Names& names, std::vector<std::string>& found) {
  for (const char* name : names) {
    for (const char* suffix : {"", ".new"}) {
      std::string path = absl::StrCat(directory, "/", name, suffix);
      std::error_code ignored;
      if (fs::exists(fs::symlink_status(path, ignored))) found.push_back(std::move(path));
    }
  }
}

}  // namespace

std::vector<std::string> FindNodeFiles(const NodeDirectories& directories) {
  std::vector<std::string> found;
  FindIn(directories.run_dir, kInRunDir, found);
  FindIn(directories.state_dir, kInStateDir, found);
  return found;
}

std::vector<std::string> RemoveNodeFiles(const NodeDirectories& directories) {
  std::vector<std::string> removed;
  for (std::string& path : FindNodeFiles(directories)) {
    std::error_code error;
    fs::remove_all(path, error);
    if (!error) removed.push_back(std::move(path));
  }
  for (const std::string& directory : {directories.run_dir, directories.state_dir}) {
    if (::rmdir(directory.c_str()) == 0) removed.push_back(directory);
  }
  return removed;
}

}  // namespace heddle::agent
