#include "agent/config.h"

#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/cni/invocation.h"
#include "lib/daemon/option_values.h"

namespace heddle::agent {
namespace {

const std::map<std::string, ProbeMode> kProbeModes = {{"none", ProbeMode::kNone},
                                                      {"all", ProbeMode::kAll},
                                                      {"outside-pods", ProbeMode::kOutsidePods},
                                                      {"inside-cgroup", ProbeMode::kInsideCgroup}};
const std::map<std::string, io::BackendChoice> kBackends = {
    {"auto", io::BackendChoice::kAuto},
    {"epoll", io::BackendChoice::kEpoll},
    {"io_uring", io::BackendChoice::kIoUring}};
const std::map<std::string, KeyExchange> kKeyExchanges = {{"x25519", KeyExchange::kX25519},
                                                          {"hybrid", KeyExchange::kHybrid}};
const daemon::Program kProgram = {
    .name = "heddle-agent",
    .purpose =
        "Heddle's node agent: captures the pods of this node and carries their traffic through "
        "mutual TLS.",
    .run = "Serve until SIGTERM; captured pods stay captured"};

// Addresses as they are written, before they are checked.
struct Listens {
  std::string admin = "127.0.0.1:15000";
  std::string metrics = "[::]:15020";
  std::string ready = "[::]:15021";
};

// Of a platform's directories those count that are not given by themselves.
struct CniOptions {
  std::string platform;
  std::string conf_dir;
  std::string bin_dir;
};

void AddNodeOptions(CLI::App& app, NodeConfig& node) {
  app.add_option("--node-name", node.node_name, "Name of this node, as in a pod's spec.nodeName")
      ->required()
      ->envname("NODE_NAME");
  app.add_option(
      "--cgroup", node.cgroup,
      "cgroup2 directory that holds this node's pods and this agent; the hooks attach here "
      "(default: the root of cgroup2)");
  app.add_option("--pin-dir", node.pin_dir, "Where BPF programs and maps are pinned")
      ->capture_default_str();
  app.add_option("--run-dir", node.run_dir, "Sockets, records and keys; must be on tmpfs")
      ->capture_default_str();
  app.add_option("--state-dir", node.state_dir, "The last state of the controller")
      ->capture_default_str();
  app.add_option(
         "--probe-mode", node.probe_mode,
         "Which of the node's own connects to a pod are probes and pass untouched: none, all, "
         "outside-pods (not from --probe-cgroup), inside-cgroup (only from --probe-cgroup)")
      ->transform(daemon::OneOf(kProbeModes));
  app.add_option("--probe-cgroup", node.probe_cgroup,
                 "cgroup below --cgroup, for --probe-mode; where it is not there, the slice of that name")
      ->capture_default_str();
  app.add_option("--exempt-namespaces", node.exempt_namespaces,
                 "Namespaces whose pods start even while the agent is away")
      ->delimiter(',');
}

void AddCniOptions(CLI::App& app, CniOptions& cni) {
  app.add_option("--cni-conf-dir", cni.conf_dir,
                 "Where the container runtime reads its CNI configuration; the agent keeps an "
                 "entry of heddle-cni in it (default: the chain is made by hand)");
  app.add_option("--cni-bin-dir", cni.bin_dir,
                 "Where the container runtime finds CNI plugins; the agent keeps heddle-cni in it");
  app.add_option("--cni-platform", cni.platform,
                 "Sets both: default, eks, gke, k3d, k3s, microk8s, minikube");
}

// What the plugin would refuse in its entry or in enroll.json, so that no pod of the node started.
absl::Status CheckForPlugin(const NodeConfig& node) {
  for (const std::string& name : node.exempt_namespaces) {
    if (!cni::IsObjectName(name))
      return absl::InvalidArgumentError(
          absl::StrCat("--exempt-namespaces: \"", name, "\" is no name of a namespace"));
  }
  if (!node.cni.conf_dir.empty() && !node.run_dir.starts_with('/'))
    return absl::InvalidArgumentError(
        "--run-dir must be an absolute path when the agent installs the CNI plugin");
  return absl::OkStatus();
}

absl::Status ResolveCni(const CniOptions& options, CniPaths& paths) {
  if (!options.platform.empty()) {
    const auto known = CniPathsOf(options.platform);
    if (!known.ok()) return Annotate(known.status(), "--cni-platform");
    paths = *known;
  }
  if (!options.conf_dir.empty()) paths.conf_dir = options.conf_dir;
  if (!options.bin_dir.empty()) paths.bin_dir = options.bin_dir;
  if (paths.conf_dir.empty() != paths.bin_dir.empty())
    return absl::InvalidArgumentError(
        "--cni-conf-dir and --cni-bin-dir go together: an entry without its program lets no pod "
        "start");
  return absl::OkStatus();
}

void AddControllerOptions(CLI::App& app, ControllerConfig& controller) {
  app.add_option("--controller", controller.address, "The controller's xDS and CA port, host:port")
      ->required()
      ->envname("CONTROLLER");
  app.add_option("--controller-roots", controller.roots_file,
                 "PEM file with the roots that the controller's certificate must chain to")
      ->required();
  app.add_option("--controller-name", controller.server_name,
                 "DNS name that the controller's certificate must be for")
      ->default_val("heddle-controller");
  app.add_option("--token-file", controller.token_file,
                 "Token that says which node this is; read anew for each call")
      ->required();
}

void AddProxyOptions(CLI::App& app, ProxyConfig& proxy) {
  app.add_option("--network", proxy.network, "Name of the network that this node's pods are on");
  app.add_option("--cluster-id", proxy.cluster_id, "Name of this cluster")->capture_default_str();
  app.add_option("--workers", proxy.workers, "Proxy threads (default: one for each CPU)")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--backend", proxy.backend,
         "Event loop of the workers: auto (io_uring where a trial succeeds), epoll, io_uring")
      ->transform(daemon::OneOf(kBackends));
  app.add_option("--key-exchange", proxy.key_exchange,
                 "Of tunnels: x25519, or hybrid (X25519MLKEM768, and X25519 with who does not know it)")
      ->transform(daemon::OneOf(kKeyExchanges));
}

void AddAdminOptions(CLI::App& app, Listens& listens) {
  app.add_option("--admin-listen", listens.admin, "Read-only admin port: /config_dump, /debug/*")
      ->capture_default_str();
  app.add_option("--metrics-listen", listens.metrics, "Prometheus /metrics")->capture_default_str();
  app.add_option("--ready-listen", listens.ready, "/healthz/ready")->capture_default_str();
}

absl::Status ParseListens(const Listens& listens, AdminConfig& admin) {
  TRY_STATUS(daemon::ParseListen("--admin-listen", listens.admin, admin.admin_listen));
  TRY_STATUS(daemon::ParseListen("--metrics-listen", listens.metrics, admin.metrics_listen));
  return daemon::ParseListen("--ready-listen", listens.ready, admin.ready_listen);
}

}  // namespace

Result<Invocation, daemon::Exit> ParseCommandLine(int argc, const char* const* argv) {
  Invocation invocation;
  Config& config = invocation.config;
  Listens listens;
  CniOptions cni;
  const auto add_options = [&config, &listens, &cni](CLI::App& app) {
    AddNodeOptions(app, config.node);
    AddCniOptions(app, cni);
    AddControllerOptions(app, config.controller);
    AddProxyOptions(app, config.proxy);
    AddAdminOptions(app, listens);
    daemon::AddLogOptions(app, config.log);
  };
  TRY(invocation.command, daemon::ParseCommandLine(kProgram, add_options, argc, argv));
  absl::Status valid = ParseListens(listens, config.admin);
  if (valid.ok()) valid = ResolveCni(cni, config.node.cni);
  if (valid.ok()) valid = CheckForPlugin(config.node);
  if (!valid.ok())
    return std::unexpected(daemon::Exit{2, absl::StrCat(std::string(valid.message()), "\n")});
  return invocation;
}

std::string ConfigJson(const Config& config) {
  nlohmann::ordered_json json;
  json["nodeName"] = config.node.node_name;
  json["cgroup"] = config.node.cgroup;
  json["pinDir"] = config.node.pin_dir;
  json["runDir"] = config.node.run_dir;
  json["stateDir"] = config.node.state_dir;
  json["probeMode"] = daemon::NameOf(kProbeModes, config.node.probe_mode);
  json["probeCgroup"] = config.node.probe_cgroup;
  json["exemptNamespaces"] = config.node.exempt_namespaces;
  json["cniConfDir"] = config.node.cni.conf_dir;
  json["cniBinDir"] = config.node.cni.bin_dir;
  json["controller"] = config.controller.address;
  json["controllerRoots"] = config.controller.roots_file;
  json["controllerName"] = config.controller.server_name;
  json["tokenFile"] = config.controller.token_file;
  json["network"] = config.proxy.network;
  json["clusterId"] = config.proxy.cluster_id;
  json["workers"] = config.proxy.workers;
  json["backend"] = daemon::NameOf(kBackends, config.proxy.backend);
  json["keyExchange"] = daemon::NameOf(kKeyExchanges, config.proxy.key_exchange);
  json["adminListen"] = config.admin.admin_listen.ToString();
  json["metricsListen"] = config.admin.metrics_listen.ToString();
  json["readyListen"] = config.admin.ready_listen.ToString();
  json["logLevel"] = daemon::NameOf(config.log.level);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace heddle::agent
