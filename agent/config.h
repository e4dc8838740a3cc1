#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/cni_paths.h"
#include "lib/base/log.h"
#include "lib/base/result.h"
#include "lib/daemon/command_line.h"
#include "lib/io/address.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// Which connects of the node itself count as probes (design: host sockets outside the pods'
// cgroup).
enum class ProbeMode : uint8_t { kNone, kAll, kOutsidePods, kInsideCgroup };

// Where the agent stands on its node; two agents can share a machine with different ones.
struct NodeConfig {
  std::string node_name;
  std::string cgroup;  // Empty: the root of cgroup2, found in /proc/self/mountinfo.
  std::string pin_dir = "/sys/fs/bpf/heddle/v1";
  std::string run_dir = "/run/heddle";
  std::string state_dir = "/var/lib/heddle";
  ProbeMode probe_mode = ProbeMode::kOutsidePods;
  std::string probe_cgroup = "kubepods";  // Below --cgroup: what holds the pods, or the kubelet.
  std::vector<std::string> exempt_namespaces = {"kube-system", "heddle-system"};
  CniPaths cni;  // Where the agent installs the CNI plugin; both empty: nowhere.
};

// How the controller is reached and known.
struct ControllerConfig {
  std::string address;      // "host:port"; the host is an IP address or resolved at each connect.
  std::string roots_file;   // Its certificate must chain to one of these,
  std::string server_name;  // and be for this DNS name.
  std::string token_file;   // Sent with every call; read anew each time.
  absl::Duration certificate_lifetime = absl::Hours(24);
};

// How tunnels agree on keys. Hybrid: X25519 with ML-KEM-768, against who records today to decrypt
// when there are quantum computers; with peers that do not know it X25519 alone.
enum class KeyExchange : uint8_t { kX25519, kHybrid };

struct ProxyConfig {
  std::string network;
  std::string cluster_id = "Kubernetes";
  size_t workers = 0;  // 0: one for each CPU.
  io::BackendChoice backend = io::BackendChoice::kAuto;
  KeyExchange key_exchange = KeyExchange::kX25519;
};

struct AdminConfig {
  io::SocketAddress admin_listen;  // Read-only.
  io::SocketAddress metrics_listen;
  io::SocketAddress ready_listen;
};

struct Config {
  NodeConfig node;
  ControllerConfig controller;
  ProxyConfig proxy;
  AdminConfig admin;
  log::Options log;
};

struct Invocation {
  daemon::Command command = daemon::Command::kRun;
  Config config;
};

// What the command line says.
Result<Invocation, daemon::Exit> ParseCommandLine(int argc, const char* const* argv);

// The effective configuration as JSON, for /config_dump and check-config. Holds no secrets: only
// the paths of files that do.
std::string ConfigJson(const Config& config);

}  // namespace heddle::agent
