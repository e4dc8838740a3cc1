#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/translate/mesh_options.h"
#include "lib/base/log.h"
#include "lib/base/result.h"
#include "lib/daemon/command_line.h"
#include "lib/io/address.h"

namespace heddle::controlplane {

// Where the controller serves, and as whom.
struct ServeConfig {
  io::SocketAddress listen;        // xDS, capture reports, CA: gRPC over TLS.
  io::SocketAddress debug_listen;  // Metrics, readiness, /debug/*: plain HTTP, read-only.
  // DNS names of its certificate: what the agents' --controller-name must be one of.
  std::vector<std::string> server_names = {"heddle-controller"};
};

// Where the mesh's objects come from.
enum class SourceKind : uint8_t { kDirectory, kKubernetes };

struct Config {
  SourceKind source = SourceKind::kDirectory;
  std::string config_dir;  // Objects, as YAML; for kDirectory.
  std::string kubeconfig;  // For kKubernetes; empty: as the pod that the controller runs in.
  // This controller among several of one cluster; for kKubernetes. Empty: the machine's host name,
  // which is a pod's name.
  std::string instance;
  bool startup_taint = false;  // Takes kStartupTaint off nodes; for kKubernetes.
  // The root's key and certificate, and the nodes' tokens; for kDirectory.
  std::string state_dir;
  // Who may call as an agent, "NAMESPACE/NAME"; for kKubernetes. Empty: heddle-agent beside us.
  std::vector<std::string> agent_service_accounts;
  ServeConfig serve;
  translate::MeshOptions mesh;
  log::Options log;
};

struct Invocation {
  daemon::Command command = daemon::Command::kRun;
  Config config;
};

// What the command line says.
Result<Invocation, daemon::Exit> ParseCommandLine(int argc, const char* const* argv);

// The effective configuration as JSON, for check-config. Holds no secrets: only paths.
std::string ConfigJson(const Config& config);

}  // namespace heddle::controlplane
