#include "cli/install/installer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <ranges>
#include <set>

#include "cli/cluster/fields.h"
#include "cli/install/kinds.h"
#include "cli/install/rollout.h"
#include "cli/install/settings.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kLookAgain = absl::Seconds(1);
constexpr char kHelm[] = "Helm";

std::string Describe(const Json& object) {
  return absl::StrCat(Text(object, {"kind"}), " ", FullName(object));
}

std::string OfHelm(const Json& found, const Json& object) {
  return absl::StrCat(Describe(object), " is of a Helm release (",
                      Text(found, {"metadata", "annotations", "meta.helm.sh/release-name"}), ")");
}

// What is there of an object; null when nothing is.
absl::StatusOr<Json> Existing(ClusterSession& session, const Json& object) {
  TRY_ASSIGN(const std::string path, ObjectPath(object));
  auto found = session.Get(path);
  if (found.ok()) return *std::move(found);
  return absl::IsNotFound(found.status()) ? absl::StatusOr<Json>(Json()) : found.status();
}

// Nothing is applied when somebody else has one of the objects.
absl::Status CheckOwners(ClusterSession& session, const Objects& objects,
                         const InstallOptions& options) {
  bool ours = false;
  for (const Json& object : objects) {
    if (IsKept(object)) continue;
    TRY_ASSIGN(const Json found, Existing(session, object));
    if (found.is_null()) continue;
    const std::string owner = Label(found, kManagedByLabel);
    if (owner == kHelm)
      return absl::FailedPreconditionError(
          absl::StrCat(OfHelm(found, object), ": use helm upgrade, or helm uninstall first"));
    if (owner == kFieldManager) ours = true;
  }
  if (ours && !options.upgrade)
    return absl::FailedPreconditionError(
        absl::StrCat("Heddle is in ", options.name_space, " already: use heddlectl upgrade"));
  if (!ours && options.upgrade)
    return absl::FailedPreconditionError(absl::StrCat(
        "there is nothing to upgrade in ", options.name_space, ": use heddlectl install"));
  return absl::OkStatus();
}

// Agents of a new install would let go at once, and be ready. An upgrade in the middle of a removal is
// how its agents are repaired.
absl::Status CheckNobodyLeaves(ClusterSession& session, const InstallOptions& options) {
  if (options.upgrade) return absl::OkStatus();
  const auto found = session.Get(RemovalPath(options.name_space));
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  TRY_STATUS(found.status());
  return absl::FailedPreconditionError(
      absl::StrCat("ConfigMap ", options.name_space, "/", kRemovalName,
                   " is left over from a removal, and the mesh would leave at once: if nothing "
                   "uninstalls Heddle any more, heddlectl uninstall --cancel --namespace=",
                   options.name_space, ", then install"));
}

// A definition counts once the API server serves its kind.
bool IsEstablished(const Json& definition) {
  const Json& conditions = Member(definition, {"status", "conditions"});
  return conditions.is_array() && std::ranges::any_of(conditions, [](const Json& each) {
           return Text(each, {"type"}) == "Established" && Text(each, {"status"}) == "True";
         });
}

absl::Status AwaitEstablished(ClusterSession& session, const Json& definition,
                              absl::Duration timeout) {
  TRY_ASSIGN(const std::string path, ObjectPath(definition));
  const MonotonicTime until = session.Now() + timeout;
  while (true) {
    const auto found = session.Get(path);
    if (found.ok() && IsEstablished(*found)) return absl::OkStatus();
    if (session.Now() > until)
      return absl::DeadlineExceededError(absl::StrCat(Describe(definition), " is not established"));
    session.Sleep(kLookAgain);
  }
}

absl::Status ApplyOne(ClusterSession& session, const Json& object, const InstallOptions& options,
                      const Tell& tell) {
  TRY_ASSIGN(const Json before, Existing(session, object));
  TRY_ASSIGN(const std::string path, ObjectPath(object));
  const auto after =
      session.Apply(path, object, kFieldManager, options.dry_run ? "dryRun=All" : "");
  if (!after.ok()) return Annotate(after.status(), Describe(object));
  const bool same = !before.is_null() && Text(before, {"metadata", "resourceVersion"}) ==
                                             Text(*after, {"metadata", "resourceVersion"});
  tell(absl::StrCat(Describe(object),
                    before.is_null() ? " created"
                    : same           ? " unchanged"
                                     : " configured",
                    options.dry_run ? " (dry run)" : ""));
  if (!options.dry_run && Text(object, {"kind"}) == "CustomResourceDefinition")
    return AwaitEstablished(session, object, options.timeout);
  return absl::OkStatus();
}

// The sentence that ends a wait that was too long.
absl::Status TooLong(ClusterSession& session, const Json& workload, const std::string& how_far) {
  const std::string name_space = NamespaceOf(workload);
  const auto pods = session.List(absl::StrCat("/api/v1/namespaces/", name_space,
                                              "/pods?labelSelector=app%3D", NameOf(workload)));
  const auto events = session.List(absl::StrCat("/api/v1/namespaces/", name_space, "/events"));
  const std::string why = pods.ok() && events.ok() ? WhyNotReady(*pods, *events) : "";
  return absl::DeadlineExceededError(
      absl::StrCat(Describe(workload), ": ", how_far, why.empty() ? ". " : "\n", why,
                   "What was applied stays; run heddlectl upgrade once the cause is gone"));
}

absl::Status AwaitRollout(ClusterSession& session, const Json& workload, MonotonicTime until,
                          const Tell& tell) {
  std::string told;
  while (true) {
    TRY_ASSIGN(const Json found, Existing(session, workload));
    Rollout rollout = JudgeRollout(found);
    if (rollout.sentence != told) tell(absl::StrCat(Describe(workload), ": ", rollout.sentence));
    if (rollout.done) return absl::OkStatus();
    if (session.Now() > until) return TooLong(session, workload, rollout.sentence);
    told = std::move(rollout.sentence);
    session.Sleep(kLookAgain);
  }
}

// A controller that does not become ready ends it before an agent is touched: those that run go on
// with what they have. In a dry run the namespace is not made, and nothing in it can be tried.
absl::Status ApplyAll(ClusterSession& session, const Objects& objects,
                      const InstallOptions& options, const Tell& tell) {
  bool no_namespace = false;
  const MonotonicTime until = session.Now() + options.timeout;
  for (const Json& object : objects) {
    if (options.dry_run && Text(object, {"kind"}) == "Namespace") {
      TRY_ASSIGN(const Json found, Existing(session, object));
      no_namespace = found.is_null();
    }
    if (no_namespace && !NamespaceOf(object).empty()) {
      tell(absl::StrCat(Describe(object), " not tried: its namespace is not there"));
      continue;
    }
    TRY_STATUS(ApplyOne(session, object, options, tell));
    TRY_ASSIGN(const Kind* kind, KindOf(object));
    if (!options.dry_run && kind->stage >= Stage::kController)
      TRY_STATUS(AwaitRollout(session, object, until, tell));
  }
  return absl::OkStatus();
}

absl::Status Delete(ClusterSession& session, const Json& object, const Tell& tell) {
  TRY_ASSIGN(const std::string path, ObjectPath(object));
  const kube::ApiRequest request{.method = "DELETE",
                                 .path = absl::StrCat(path, "?propagationPolicy=Background")};
  const auto done = session.Send(request);
  if (!done.ok() && !absl::IsNotFound(done.status()))
    return Annotate(done.status(), Describe(object));
  tell(absl::StrCat(Describe(object), " deleted"));
  return absl::OkStatus();
}

absl::Status Prune(ClusterSession& session, const Objects& objects, const InstallOptions& options,
                   const Tell& tell) {
  std::set<std::string> wanted;
  for (const Json& object : objects) wanted.insert(Describe(object));
  TRY_ASSIGN(const Objects inventory, Inventory(session, options.name_space));
  for (const Json& object : inventory) {
    if (!wanted.contains(Describe(object)) && !IsKept(object))
      TRY_STATUS(Delete(session, object, tell));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Objects> Inventory(ClusterSession& session, const std::string& name_space) {
  Objects inventory;
  for (const Kind& kind : std::views::reverse(InstalledKinds())) {
    TRY_ASSIGN(Objects found, session.List(absl::StrCat(
                                  CollectionPath(kind, name_space), "?labelSelector=", kPartOfLabel,
                                  "%3D", kHeddle, ",", kManagedByLabel, "%3D", kFieldManager)));
    for (Json& object : found) {
      object["apiVersion"] = kind.api_version;  // Built-in kinds are listed without them.
      object["kind"] = kind.kind;
      inventory.push_back(std::move(object));
    }
  }
  return inventory;
}

absl::Status Install(ClusterSession& session, const Objects& objects, const InstallOptions& options,
                     const Tell& tell) {
  TRY_STATUS(CheckOwners(session, objects, options));
  TRY_STATUS(CheckNobodyLeaves(session, options));
  TRY_STATUS(ApplyAll(session, objects, options, tell));
  if (options.dry_run) return absl::OkStatus();
  return Prune(session, objects, options, tell);
}

absl::Status CheckInstalled(ClusterSession& session, const std::string& name_space) {
  const Json agents = {{"apiVersion", "apps/v1"},
                       {"kind", "DaemonSet"},
                       {"metadata", {{"name", "heddle-agent"}, {"namespace", name_space}}}};
  TRY_ASSIGN(const Json found, Existing(session, agents));
  if (Label(found, kManagedByLabel) == kHelm)
    return absl::FailedPreconditionError(
        absl::StrCat(OfHelm(found, agents), ": use helm uninstall"));
  TRY_ASSIGN(const Objects inventory, Inventory(session, name_space));
  if (!std::ranges::all_of(inventory, IsKept)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("there is nothing in ", name_space, " that heddlectl install made"));
}

absl::Status DeleteInventory(ClusterSession& session, const std::string& name_space,
                             const Tell& tell) {
  TRY_ASSIGN(const Objects inventory, Inventory(session, name_space));
  for (const Json& object : inventory) {
    if (!IsKept(object)) TRY_STATUS(Delete(session, object, tell));
  }
  return absl::OkStatus();
}

}  // namespace heddle::cli
