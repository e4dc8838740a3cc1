#include "cli/check_command.h"

#include <unistd.h>

#include <memory>
#include <vector>

#include "cli/cluster/session.h"
#include "cli/preflight/finding.h"
#include "cli/preflight/read_cluster.h"
#include "cli/preflight/read_node.h"
#include "cli/removal/purge_command.h"

namespace heddle::cli {
namespace {

struct CheckOptions {
  bool before = false;  // --pre
  bool purged = false;
  NodePlaceOptions places;  // For --purged; what --pre has as well is taken from there.
  bool no_node = false;
  bool no_cluster = false;
  NodeCheckOptions node;
  ClusterCheckOptions cluster;
  AccessOptions access;
};

void CheckThisNode(const CheckOptions& options, std::vector<Finding>& findings) {
  if (::geteuid() != 0) {
    findings.push_back({.check = "node",
                        .verdict = Verdict::kSkipped,
                        .sentence = "this machine was not looked at, which takes root",
                        .advice = "run it as root on each node"});
    return;
  }
  for (Finding& finding : CheckNode(options.node)) findings.push_back(std::move(finding));
}

void CheckTheCluster(const CheckOptions& options, std::vector<Finding>& findings) {
  auto access = FindClusterAccess(options.access);
  if (!access.ok()) {
    const bool absent = absl::IsNotFound(access.status()) && options.access.kubeconfig.empty();
    findings.push_back({.check = "api-server",
                        .verdict = absent ? Verdict::kSkipped : Verdict::kFailed,
                        .sentence = std::string(access.status().message())});
    return;
  }
  ClusterSession session(*std::move(access));
  for (Finding& finding : CheckCluster(session, options.cluster))
    findings.push_back(std::move(finding));
}

absl::StatusOr<Outcome> CheckAfter(const CheckOptions& options, const std::string& run_dir,
                                   Output output) {
  NodePlaceOptions places = options.places;
  places.host_root = options.node.host_root;
  if (!options.node.cgroup.empty()) places.cgroup = options.node.cgroup;
  places.cni_platform = options.node.platform;
  places.cni_conf_dir = options.node.cni_conf_dir;
  places.cni_bin_dir = options.node.cni_bin_dir;
  return CheckPurged(places, run_dir, output);
}

absl::StatusOr<Outcome> Check(const CheckOptions& options, const std::string& run_dir,
                              Output output) {
  std::vector<Finding> findings;
  if (options.before == options.purged)
    return absl::InvalidArgumentError("say what to check: --pre or --purged");
  if (options.purged) return CheckAfter(options, run_dir, output);
  if (!options.no_node) CheckThisNode(options, findings);
  if (!options.no_cluster) CheckTheCluster(options, findings);
  return Outcome{output == Output::kJson ? FindingsJson(findings) : FindingsTable(findings),
                 AllWell(findings) ? 0 : 1};
}

}  // namespace

void AddCheckCommand(CLI::App& app, const Output& output, const std::string& run_dir,
                     Action& chosen) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = app.add_subcommand(
      "check", "Whether this node and the cluster are as Heddle needs them: exit code 1 when not");
  check->add_flag("--pre", options->before, "Before an install: what is missing or in the way");
  check->add_flag("--purged", options->purged,
                  "After an uninstall or a purge: what of Heddle is left on this node");
  AddNodePlaceOptions(*check, options->places);
  check->add_flag("--no-node", options->no_node, "Leave out what is asked of this machine");
  check->add_flag("--no-cluster", options->no_cluster, "Leave out what is asked of the API server");
  check->add_option("--cgroup", options->node.cgroup,
                    "Root of cgroup2 (default: where it is mounted)");
  check
      ->add_option("--cni-platform", options->node.platform,
                   "Where the runtime's CNI folders are, as agent.cni.platform")
      ->capture_default_str();
  check->add_option("--cni-conf-dir", options->node.cni_conf_dir, "In place of the platform's");
  check->add_option("--cni-bin-dir", options->node.cni_bin_dir, "In place of the platform's");
  check
      ->add_option("--host-root", options->node.host_root,
                   "Where the node's files are: /host in `kubectl debug node/...`")
      ->capture_default_str();
  check->add_option("--kubeconfig", options->access.kubeconfig,
                    "Which API server, and who asks it (default: $KUBECONFIG, ~/.kube/config, the "
                    "service account)");
  check->add_option("--context", options->access.context, "Context of the kubeconfig");
  check->add_option("--namespace", options->cluster.name_space, "Heddle's namespace")
      ->capture_default_str();
  check->add_option("--root-namespace", options->cluster.root_namespace, "As mesh.rootNamespace")
      ->capture_default_str();
  check->callback([options, &output, &run_dir, &chosen] {
    chosen = [options, &output, &run_dir] { return Check(*options, run_dir, output); };
  });
}

}  // namespace heddle::cli
