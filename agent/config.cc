#include "agent/config.h"

#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/result.h"
#include "lib/base/status.h"

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
const std::map<std::string, log::Level> kLevels = {{"debug", log::Level::kDebug},
                                                   {"info", log::Level::kInfo},
                                                   {"warn", log::Level::kWarning},
                                                   {"error", log::Level::kError}};
const std::map<std::string, log::Format> kFormats = {{"text", log::Format::kText},
                                                     {"json", log::Format::kJson}};

// Addresses as they are written, before they are checked.
struct Listens {
  std::string admin = "127.0.0.1:15000";
  std::string metrics = "[::]:15020";
  std::string ready = "[::]:15021";
};

template <typename T>
std::string NameOf(const std::map<std::string, T>& names, T value) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return "";
}

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
      ->transform(CLI::CheckedTransformer(kProbeModes));
  app.add_option("--probe-cgroup", node.probe_cgroup, "cgroup below --cgroup, for --probe-mode")
      ->capture_default_str();
  app.add_option("--exempt-namespaces", node.exempt_namespaces,
                 "Namespaces whose pods start even while the agent is away")
      ->delimiter(',');
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
      ->transform(CLI::CheckedTransformer(kBackends));
}

void AddAdminOptions(CLI::App& app, Listens& listens, log::Options& log) {
  app.add_option("--admin-listen", listens.admin, "Read-only admin port: /config_dump, /debug/*")
      ->capture_default_str();
  app.add_option("--metrics-listen", listens.metrics, "Prometheus /metrics")->capture_default_str();
  app.add_option("--ready-listen", listens.ready, "/healthz/ready")->capture_default_str();
  app.add_option("--log-level", log.level, "debug, info, warn or error")
      ->transform(CLI::CheckedTransformer(kLevels));
  app.add_option("--log-format", log.format, "text or json")
      ->transform(CLI::CheckedTransformer(kFormats));
}

absl::Status ParseListen(const char* flag, const std::string& text, io::SocketAddress& out) {
  const auto address = io::SocketAddress::Parse(text);
  if (!address) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": '", text, "' is not an address such as 127.0.0.1:15000 or [::]:15020"));
  }
  out = *address;
  return absl::OkStatus();
}

absl::Status ParseListens(const Listens& listens, AdminConfig& admin) {
  TRY_STATUS(ParseListen("--admin-listen", listens.admin, admin.admin_listen));
  TRY_STATUS(ParseListen("--metrics-listen", listens.metrics, admin.metrics_listen));
  return ParseListen("--ready-listen", listens.ready, admin.ready_listen);
}

Exit FromParseError(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  return {code == 0 ? 0 : 2, out.str() + err.str()};
}

}  // namespace

Result<Invocation, Exit> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app(
      "Heddle's node agent: captures the pods of this node and carries their traffic through "
      "mutual TLS.",
      "heddle-agent");
  app.set_config("--config", "", "File with the same options (TOML or INI); flags win over it");
  app.require_subcommand(1);
  Invocation invocation;
  Listens listens;
  CLI::App* run = app.add_subcommand("run", "Serve until SIGTERM; captured pods stay captured");
  CLI::App* version = app.add_subcommand("version", "Print the version");
  CLI::App* check = app.add_subcommand("check-config", "Check the options and print what holds");
  for (CLI::App* command : {run, check}) {
    AddNodeOptions(*command, invocation.config.node);
    AddControllerOptions(*command, invocation.config.controller);
    AddProxyOptions(*command, invocation.config.proxy);
    AddAdminOptions(*command, listens, invocation.config.log);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(FromParseError(app, error));
  }
  if (version->parsed()) invocation.command = Command::kVersion;
  if (check->parsed()) invocation.command = Command::kCheckConfig;
  const absl::Status listening = ParseListens(listens, invocation.config.admin);
  if (!listening.ok())
    return std::unexpected(Exit{2, absl::StrCat(std::string(listening.message()), "\n")});
  return invocation;
}

std::string ConfigJson(const Config& config) {
  nlohmann::ordered_json json;
  json["nodeName"] = config.node.node_name;
  json["cgroup"] = config.node.cgroup;
  json["pinDir"] = config.node.pin_dir;
  json["runDir"] = config.node.run_dir;
  json["stateDir"] = config.node.state_dir;
  json["probeMode"] = NameOf(kProbeModes, config.node.probe_mode);
  json["probeCgroup"] = config.node.probe_cgroup;
  json["exemptNamespaces"] = config.node.exempt_namespaces;
  json["controller"] = config.controller.address;
  json["controllerRoots"] = config.controller.roots_file;
  json["controllerName"] = config.controller.server_name;
  json["tokenFile"] = config.controller.token_file;
  json["network"] = config.proxy.network;
  json["clusterId"] = config.proxy.cluster_id;
  json["workers"] = config.proxy.workers;
  json["backend"] = NameOf(kBackends, config.proxy.backend);
  json["adminListen"] = config.admin.admin_listen.ToString();
  json["metricsListen"] = config.admin.metrics_listen.ToString();
  json["readyListen"] = config.admin.ready_listen.ToString();
  json["logLevel"] = NameOf(kLevels, config.log.level);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace heddle::agent
