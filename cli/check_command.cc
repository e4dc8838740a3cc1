#include "cli/check_command.h"

#include <memory>
#include <vector>

#include "cli/cluster/session.h"
#include "cli/preflight/finding.h"
#include "cli/preflight/read_cluster.h"

namespace heddle::cli {
namespace {

struct CheckOptions {
  bool before = false;  // --pre
  AccessOptions access;
};

void CheckBefore(const CheckOptions& options, std::vector<Finding>& findings) {
  auto access = FindClusterAccess(options.access);
  if (!access.ok()) {
    const bool absent = absl::IsNotFound(access.status()) && options.access.kubeconfig.empty();
    findings.push_back({.check = "api-server",
                        .verdict = absent ? Verdict::kSkipped : Verdict::kFailed,
                        .sentence = std::string(access.status().message())});
    return;
  }
  ClusterSession session(*std::move(access));
  for (Finding& finding : CheckCluster(session)) findings.push_back(std::move(finding));
}

absl::StatusOr<Outcome> Check(const CheckOptions& options, Output output) {
  std::vector<Finding> findings;
  if (!options.before) return absl::InvalidArgumentError("say what to check: --pre");
  CheckBefore(options, findings);
  return Outcome{output == Output::kJson ? FindingsJson(findings) : FindingsTable(findings),
                 AllWell(findings) ? 0 : 1};
}

}  // namespace

void AddCheckCommand(CLI::App& app, const Output& output, Action& chosen) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = app.add_subcommand(
      "check", "Whether this node and the cluster are as Heddle needs them: exit code 1 when not");
  check->add_flag("--pre", options->before, "Before an install: what is missing or in the way");
  check->add_option("--kubeconfig", options->access.kubeconfig,
                    "Which API server, and who asks it (default: $KUBECONFIG, ~/.kube/config, the "
                    "service account)");
  check->add_option("--context", options->access.context, "Context of the kubeconfig");
  check->callback([options, &output, &chosen] {
    chosen = [options, &output] { return Check(*options, output); };
  });
}

}  // namespace heddle::cli
