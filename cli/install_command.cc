#include "cli/install_command.h"

#include <absl/strings/str_cat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "cli/cluster/session.h"
#include "cli/install/installer.h"
#include "cli/install/settings.h"
#include "cli/preflight/finding.h"
#include "cli/preflight/read_cluster.h"
#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/daemon/option_values.h"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

enum class DryRun : uint8_t { kNone, kClient, kServer };

struct CommandOptions {
  AccessOptions access;
  std::string manifest;  // Empty: the installed one.
  std::string name_space = "heddle-system";
  std::vector<std::string> set;
  DryRun dry_run = DryRun::kNone;
  bool skip_checks = false;
  int timeout_seconds = 300;
  bool upgrade = false;
};

// Where `cmake --install` puts it beside this program.
std::string InstalledManifest() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return (program.parent_path().parent_path() / "share/heddle/heddle.json").string();
}

absl::StatusOr<Objects> ReadObjects(const CommandOptions& options) {
  Settings settings{.name_space = options.name_space};
  for (const std::string& text : options.set) TRY_STATUS(AddSetting(text, settings));
  const std::string path = options.manifest.empty() ? InstalledManifest() : options.manifest;
  std::ifstream file(path);
  if (!file)
    return absl::NotFoundError(absl::StrCat("cannot read the manifest ", path,
                                            "; it comes with an installation, or give --manifest"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Json manifest = Json::parse(text, nullptr, false);
  auto objects = MakeObjects(manifest, settings);
  return objects.ok() ? objects : Annotate(objects.status(), path);
}

void TellPerson(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

absl::Status CheckFirst(ClusterSession& session, const CommandOptions& options) {
  if (options.skip_checks) return absl::OkStatus();
  std::vector<Finding> findings = CheckCluster(session, {.name_space = options.name_space});
  std::erase_if(findings, [](const Finding& each) { return each.verdict == Verdict::kOk; });
  if (!findings.empty()) TellPerson(FindingsTable(findings));
  if (AllWell(findings)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the cluster is not as Heddle needs it: see above, or go on with --skip-checks");
}

absl::StatusOr<Outcome> Run(const CommandOptions& options) {
  TRY_ASSIGN(const Objects objects, ReadObjects(options));
  if (options.dry_run == DryRun::kClient) {
    return Outcome{Json{{"apiVersion", "v1"}, {"kind", "List"}, {"items", objects}}.dump(1) + "\n"};
  }
  TRY_ASSIGN(kube::ClusterAccess access, FindClusterAccess(options.access));
  ClusterSession session(std::move(access));
  TRY_STATUS(CheckFirst(session, options));
  const InstallOptions how{.name_space = options.name_space,
                           .upgrade = options.upgrade,
                           .dry_run = options.dry_run == DryRun::kServer,
                           .timeout = absl::Seconds(options.timeout_seconds)};
  TRY_STATUS(Install(session, objects, how, TellPerson));
  if (how.dry_run) return Outcome{"nothing was changed: a dry run\n"};
  return Outcome{
      absl::StrCat("Heddle ", kVersion, " is in ", options.name_space,
                   "; controller and agents are ready. Next: kubectl label namespace NAMESPACE "
                   "istio.io/dataplane-mode=ambient\n")};
}

void Add(CLI::App& app, const char* name, const char* help, bool upgrade, Action& chosen) {
  auto options = std::make_shared<CommandOptions>();
  options->upgrade = upgrade;
  CLI::App* command = app.add_subcommand(name, help);
  command
      ->add_option("--namespace", options->name_space,
                   "Heddle's namespace; made when it is not there")
      ->capture_default_str();
  command->add_option("--set", options->set,
                      "NAME=VALUE as in the chart; a wrong name says which there are");
  const std::map<std::string, DryRun> dry_runs = {
      {"none", DryRun::kNone}, {"client", DryRun::kClient}, {"server", DryRun::kServer}};
  command
      ->add_option("--dry-run", options->dry_run,
                   "client prints the objects, server has them checked")
      ->transform(daemon::OneOf(dry_runs));
  command->add_flag("--skip-checks", options->skip_checks,
                    "Go on in spite of what heddlectl check --pre says of the cluster");
  command
      ->add_option("--timeout", options->timeout_seconds,
                   "Seconds until controller and agents have to be ready")
      ->capture_default_str();
  command->add_option("--manifest", options->manifest,
                      "In place of the installed share/heddle/heddle.json");
  command->add_option("--kubeconfig", options->access.kubeconfig,
                      "Which API server, and who asks it (default: $KUBECONFIG, ~/.kube/config, "
                      "the service account)");
  command->add_option("--context", options->access.context, "Context of the kubeconfig");
  command->callback([options, &chosen] { chosen = [options] { return Run(*options); }; });
}

}  // namespace

void AddInstallCommands(CLI::App& app, Action& chosen) {
  Add(app, "install", "Installs Heddle into a cluster without Helm, and waits until it is ready",
      false, chosen);
  Add(app, "upgrade", "Brings what heddlectl install made to this version or to other settings",
      true, chosen);
}

}  // namespace heddle::cli
