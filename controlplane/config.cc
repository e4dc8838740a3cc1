#include "controlplane/config.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/daemon/option_values.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::controlplane {
namespace {

const daemon::Program kProgram = {
    .name = "heddle-controller",
    .purpose =
        "Heddle's controller: turns Kubernetes objects into the state that each node needs, and "
        "signs the certificates of pods.",
    .run = "Serve until SIGTERM"};

// Addresses as they are written, before they are checked.
struct Listens {
  std::string grpc = "[::]:15012";
  std::string debug = "[::]:15014";
};

const std::map<std::string, SourceKind> kSources = {{"directory", SourceKind::kDirectory},
                                                    {"kubernetes", SourceKind::kKubernetes}};

void AddServeOptions(CLI::App& app, Config& config, Listens& listens) {
  app.add_option("--config-dir", config.config_dir,
                 "Directory with the mesh's objects as YAML, as kubectl prints them; watched");
  app.add_option("--source", config.source,
                 "Where the objects come from: directory (--config-dir) or kubernetes")
      ->transform(daemon::OneOf(kSources));
  app.add_option("--kubeconfig", config.kubeconfig,
                 "How to reach the cluster with --source kubernetes; without it as the pod that "
                 "this runs in");
  app.add_option("--instance", config.instance,
                 "Name of this controller among those of the cluster, with --source kubernetes; "
                 "without it the host name, which is the pod's");
  app.add_flag("--startup-taint", config.startup_taint,
               "Takes the taint heddle.io/not-ready off nodes whose agent is ready, with --source "
               "kubernetes");
  app.add_option("--state-dir", config.state_dir,
                 "Root key and certificate, and the nodes' tokens, of --config-dir; made on first "
                 "start. A cluster has them in the Secret heddle-ca, and needs none");
  app.add_option("--agent-service-accounts", config.agent_service_accounts,
                 "NAMESPACE/NAME of those whose pods' tokens are agents', with --source "
                 "kubernetes; without it heddle-agent in the controller's own namespace")
      ->delimiter(',');
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
  app.add_option("--own-namespace", mesh.own_namespace,
                 "Namespace that Heddle itself runs in; its pods are never captured")
      ->capture_default_str();
  app.add_option("--exempt-namespaces", mesh.exempt_namespaces,
                 "Namespaces whose pods are never captured, whatever their labels say; besides "
                 "--own-namespace")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--cluster-id", mesh.cluster_id, "Name of this cluster")->capture_default_str();
  app.add_option("--cluster-domain", mesh.cluster_domain, "Suffix of the services' host names")
      ->capture_default_str();
}

absl::Status CheckSource(const Config& config) {
  const bool kubernetes = config.source == SourceKind::kKubernetes;
  if (!kubernetes && config.config_dir.empty())
    return absl::InvalidArgumentError("--config-dir is required, or --source kubernetes");
  if (kubernetes && !config.config_dir.empty())
    return absl::InvalidArgumentError("--config-dir has no meaning with --source kubernetes");
  if (!kubernetes && !config.kubeconfig.empty())
    return absl::InvalidArgumentError("--kubeconfig has no meaning without --source kubernetes");
  if (!kubernetes && config.state_dir.empty())
    return absl::InvalidArgumentError("--state-dir is required with --config-dir");
  if (!kubernetes && !config.agent_service_accounts.empty())
    return absl::InvalidArgumentError(
        "--agent-service-accounts has no meaning without --source kubernetes");
  for (const std::string& account : config.agent_service_accounts) {
    const size_t slash = account.find('/');
    if (slash != std::string::npos && slash > 0 && slash + 1 < account.size() &&
        account.find('/', slash + 1) == std::string::npos)
      continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--agent-service-accounts: '", account, "' is not NAMESPACE/NAME"));
  }
  return absl::OkStatus();
}

absl::Status Check(const Listens& listens, Config& config) {
  TRY_STATUS(daemon::ParseListen("--listen", listens.grpc, config.serve.listen));
  TRY_STATUS(daemon::ParseListen("--debug-listen", listens.debug, config.serve.debug_listen));
  if (!tls::IsTrustDomain(config.mesh.trust_domain)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--trust-domain: '", config.mesh.trust_domain,
                     "' is not a trust domain such as cluster.local: lower-case letters, digits, "
                     "dots, hyphens and underscores"));
  }
  return absl::OkStatus();
}

}  // namespace

Result<Invocation, daemon::Exit> ParseCommandLine(int argc, const char* const* argv) {
  Invocation invocation;
  Config& config = invocation.config;
  Listens listens;
  const auto add_options = [&config, &listens](CLI::App& app) {
    AddServeOptions(app, config, listens);
    AddMeshOptions(app, config.mesh);
    daemon::AddLogOptions(app, config.log);
  };
  TRY(invocation.command, daemon::ParseCommandLine(kProgram, add_options, argc, argv));
  if (invocation.command == daemon::Command::kVersion) return invocation;
  absl::Status checked = CheckSource(config);
  if (checked.ok()) checked = Check(listens, config);
  if (!checked.ok())
    return std::unexpected(daemon::Exit{2, absl::StrCat(std::string(checked.message()), "\n")});
  return invocation;
}

std::string ConfigJson(const Config& config) {
  nlohmann::ordered_json json;
  json["source"] = daemon::NameOf(kSources, config.source);
  json["configDir"] = config.config_dir;
  json["kubeconfig"] = config.kubeconfig;
  json["instance"] = config.instance;
  json["startupTaint"] = config.startup_taint;
  json["stateDir"] = config.state_dir;
  json["agentServiceAccounts"] = config.agent_service_accounts;
  json["listen"] = config.serve.listen.ToString();
  json["debugListen"] = config.serve.debug_listen.ToString();
  json["serverNames"] = config.serve.server_names;
  json["trustDomain"] = config.mesh.trust_domain;
  json["rootNamespace"] = config.mesh.root_namespace;
  json["ownNamespace"] = config.mesh.own_namespace;
  json["clusterId"] = config.mesh.cluster_id;
  json["clusterDomain"] = config.mesh.cluster_domain;
  json["exemptNamespaces"] = config.mesh.exempt_namespaces;
  json["logLevel"] = daemon::NameOf(config.log.level);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace heddle::controlplane
