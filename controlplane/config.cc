#include "controlplane/config.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::controlplane {
namespace {

const std::map<std::string, log::Level> kLevels = {{"debug", log::Level::kDebug},
                                                   {"info", log::Level::kInfo},
                                                   {"warn", log::Level::kWarning},
                                                   {"error", log::Level::kError}};
const std::map<std::string, log::Format> kFormats = {{"text", log::Format::kText},
                                                     {"json", log::Format::kJson}};

// Addresses as they are written, before they are checked.
struct Listens {
  std::string grpc = "[::]:15012";
  std::string debug = "[::]:15014";
};

template <typename T>
std::string NameOf(const std::map<std::string, T>& names, T value) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return "";
}

void AddServeOptions(CLI::App& app, Config& config, Listens& listens) {
  app.add_option("--config-dir", config.config_dir,
                 "Directory with the mesh's objects as YAML, as kubectl prints them; watched")
      ->required();
  app.add_option("--state-dir", config.state_dir,
                 "Root key and certificate, and the nodes' tokens; made on first start")
      ->required();
  app.add_option("--listen", listens.grpc, "xDS, capture reports and CA: gRPC over TLS")
      ->capture_default_str();
  app.add_option("--debug-listen", listens.debug, "/metrics, /healthz/ready, /debug/*")
      ->capture_default_str();
  app.add_option("--server-names", config.serve.server_names,
                 "DNS names of the controller's certificate; agents verify one of them")
      ->delimiter(',')
      ->capture_default_str();
}

void AddMeshOptions(CLI::App& app, translate::MeshOptions& mesh) {
  app.add_option("--trust-domain", mesh.trust_domain, "Trust domain of all identities")
      ->capture_default_str();
  app.add_option("--root-namespace", mesh.root_namespace,
                 "Namespace whose policies hold for the whole mesh")
      ->capture_default_str();
  app.add_option("--cluster-id", mesh.cluster_id, "Name of this cluster")->capture_default_str();
  app.add_option("--cluster-domain", mesh.cluster_domain, "Suffix of the services' host names")
      ->capture_default_str();
}

void AddLogOptions(CLI::App& app, log::Options& log) {
  app.add_option("--log-level", log.level, "debug, info, warn or error")
      ->transform(CLI::CheckedTransformer(kLevels));
  app.add_option("--log-format", log.format, "text or json")
      ->transform(CLI::CheckedTransformer(kFormats));
}

absl::Status ParseListen(const char* flag, const std::string& text, io::SocketAddress& out) {
  const auto address = io::SocketAddress::Parse(text);
  if (!address) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": '", text, "' is not an address such as 127.0.0.1:15012 or [::]:15012"));
  }
  out = *address;
  return absl::OkStatus();
}

absl::Status Check(const Listens& listens, Config& config) {
  TRY_STATUS(ParseListen("--listen", listens.grpc, config.serve.listen));
  TRY_STATUS(ParseListen("--debug-listen", listens.debug, config.serve.debug_listen));
  if (!tls::IsTrustDomain(config.mesh.trust_domain)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--trust-domain: '", config.mesh.trust_domain,
                     "' is not a trust domain such as cluster.local: lower-case letters, digits, "
                     "dots, hyphens and underscores"));
  }
  return absl::OkStatus();
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
      "Heddle's controller: turns Kubernetes objects into the state that each node needs, and "
      "signs the certificates of pods.",
      "heddle-controller");
  app.set_config("--config", "", "File with the same options (TOML or INI); flags win over it");
  app.require_subcommand(1);
  Invocation invocation;
  Listens listens;
  CLI::App* run = app.add_subcommand("run", "Serve until SIGTERM");
  CLI::App* version = app.add_subcommand("version", "Print the version");
  CLI::App* check = app.add_subcommand("check-config", "Check the options and print what holds");
  for (CLI::App* command : {run, check}) {
    AddServeOptions(*command, invocation.config, listens);
    AddMeshOptions(*command, invocation.config.mesh);
    AddLogOptions(*command, invocation.config.log);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(FromParseError(app, error));
  }
  if (version->parsed()) invocation.command = Command::kVersion;
  if (check->parsed()) invocation.command = Command::kCheckConfig;
  const absl::Status checked = Check(listens, invocation.config);
  if (!checked.ok())
    return std::unexpected(Exit{2, absl::StrCat(std::string(checked.message()), "\n")});
  return invocation;
}

std::string ConfigJson(const Config& config) {
  nlohmann::ordered_json json;
  json["configDir"] = config.config_dir;
  json["stateDir"] = config.state_dir;
  json["listen"] = config.serve.listen.ToString();
  json["debugListen"] = config.serve.debug_listen.ToString();
  json["serverNames"] = config.serve.server_names;
  json["trustDomain"] = config.mesh.trust_domain;
  json["rootNamespace"] = config.mesh.root_namespace;
  json["clusterId"] = config.mesh.cluster_id;
  json["clusterDomain"] = config.mesh.cluster_domain;
  json["excludedNamespaces"] = config.mesh.excluded_namespaces;
  json["logLevel"] = NameOf(kLevels, config.log.level);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace heddle::controlplane
