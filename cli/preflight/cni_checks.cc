#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/node/cni_chain_edit.h"
#include "cli/preflight/node_checks.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;
using Verdicts = agent::ChainEdit::Verdict;

struct KnownPlugin {
  std::string_view type;
  Verdict verdict;
  const char* what;
  const char* advice;
};
constexpr KnownPlugin kKnownPlugins[] = {
    {"istio-cni", Verdict::kFailed, "Istio's plugin",
     "two meshes would capture the same pods: uninstall istio-cni first, or keep its pods "
     "(sidecars) "
     "out of Heddle's namespaces and its ambient mode off"},
    {"linkerd-cni", Verdict::kWarning, "Linkerd's plugin",
     "pods with its sidecar are never captured by Heddle"},
    {"kuma-cni", Verdict::kWarning, "Kuma's plugin",
     "pods with its sidecar are never captured by Heddle"},
    {"consul-cni", Verdict::kFailed, "Consul's plugin", "two meshes would capture the same pods"},
    {"cilium-cni", Verdict::kWarning, "Cilium",
     "install Cilium with cni.exclusive=false, or it takes Heddle's entry away again and again"},
    {"multus", Verdict::kWarning, "Multus",
     "it calls its delegates by configurations of its own: see whether pods get Heddle's entry"},
    {"multus-shim", Verdict::kWarning, "Multus",
     "it calls its delegates by configurations of its own: see whether pods get Heddle's entry"},
};

// Types of the plugins of a chain, in order; empty when the text is none.
std::vector<std::string> PluginTypes(const std::string& text) {
  std::vector<std::string> types;
  const Json conf = Json::parse(text, nullptr, false);
  const auto add = [&types](const Json& plugin) {
    if (plugin.is_object() && plugin.contains("type") && plugin["type"].is_string())
      types.push_back(plugin["type"].get<std::string>());
  };
  if (conf.is_object() && conf.contains("plugins") && conf["plugins"].is_array()) {
    for (const Json& plugin : conf["plugins"]) add(plugin);
  } else {
    add(conf);
  }
  return types;
}

// The file that the runtime uses, or who blocks the way to knowing; nothing when there is none.
struct Found {
  const NamedText* file = nullptr;
  agent::ChainEdit edit;
};
std::optional<Found> FirstUsable(const CniFacts& facts) {
  for (const NamedText& file : facts.files) {
    if (!agent::CniFileKindOf(file.name)) continue;
    agent::ChainEdit edit = agent::InsertEntry({file.name, file.text}, {.run_dir = "/run/heddle"});
    if (edit.verdict != Verdicts::kSkip) return Found{&file, std::move(edit)};
  }
  return std::nullopt;
}

Finding JudgeChain(const CniFacts& facts, const std::optional<Found>& found) {
  Finding finding{.check = "cni-chain"};
  if (!facts.trouble.empty() || !found) {
    finding.verdict = Verdict::kFailed;
    finding.sentence =
        facts.trouble.empty()
            ? absl::StrCat(facts.conf_dir, " has no configuration that a container runtime loads")
            : facts.trouble;
    finding.advice =
        "is the runtime's CNI folder somewhere else (agent.cni.platform, agent.cni.confDir), or is "
        "there no network yet?";
    return finding;
  }
  const std::string path = absl::StrCat(facts.conf_dir, "/", found->file->name);
  if (found->edit.verdict == Verdicts::kBlocked) {
    finding.verdict = Verdict::kFailed;
    finding.sentence = absl::StrCat(path, " ", found->edit.reason);
    finding.advice =
        "repair or remove that file: the runtime may use it, and Heddle cannot put its entry in";
    return finding;
  }
  finding.sentence = absl::StrCat("the runtime's chain is ", path, ": ",
                                  absl::StrJoin(PluginTypes(found->file->text), ", "));
  return finding;
}

}  // namespace

std::vector<Finding> JudgeCni(const CniFacts& facts) {
  const std::optional<Found> found = FirstUsable(facts);
  std::vector<Finding> findings = {JudgeChain(facts, found)};
  if (!facts.has_bin_dir) {
    findings.push_back(
        {.check = "cni-plugins",
         .verdict = Verdict::kWarning,
         .sentence = absl::StrCat("there is no folder ", facts.bin_dir),
         .advice = "say where the runtime finds plugins: agent.cni.platform, agent.cni.binDir"});
  }
  if (!found) return findings;
  for (const std::string& type : PluginTypes(found->file->text)) {
    const auto* known = std::ranges::find(kKnownPlugins, type, &KnownPlugin::type);
    if (known == std::end(kKnownPlugins)) continue;
    findings.push_back({.check = "cni-plugins",
                        .verdict = known->verdict,
                        .sentence = absl::StrCat(known->what, " (", type, ") is in the chain"),
                        .advice = known->advice});
  }
  return findings;
}

}  // namespace heddle::cli
