#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/foreign_programs.h"

// What is so on this node, as far as checks ask; read_node.h fills it in.
namespace heddle::cli {

// A line of /proc/PID/mountinfo (proc(5)).
struct Mount {
  std::string root;   // Of the mounted file system.
  std::string point;  // Where.
  std::string type;
  std::string super_options;
  bool operator==(const Mount&) const = default;
};
std::vector<Mount> ParseMounts(std::string_view mountinfo);

// A listening TCP socket of a line of /proc/net/tcp or tcp6.
struct Listener {
  uint16_t port = 0;
  uint64_t inode = 0;
  std::string program;  // Empty: nobody's that we may see.
  bool operator==(const Listener&) const = default;
};
std::vector<Listener> ParseListeners(std::string_view table);

struct NamedText {
  std::string name;
  std::string text;
};

struct CgroupFacts {
  std::vector<Mount> mounts;
  std::string chosen;              // What --cgroup says; empty: the first cgroup2.
  bool initial_namespace = false;  // This process sees cgroups as the node does.
};

struct CniFacts {
  std::string conf_dir;
  std::vector<NamedText> files;  // In lexical order, those that a runtime looks at.
  std::string trouble;           // Why the directory could not be read; empty when it was.
  bool has_bin_dir = false;
  std::string bin_dir;
};

struct IoUringFacts {
  std::string trouble;   // Why a trial failed; empty when it worked.
  std::string disabled;  // kernel.io_uring_disabled; empty: there is no such setting.
};

}  // namespace heddle::cli
