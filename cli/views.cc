#include "cli/views.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

// Runs `make` over the parsed answers; the library's exceptions end here.
template <typename Make>
absl::StatusOr<std::string> FromJson(Make make) {
  try {
    return make();
  } catch (const Json::exception& error) {
    return absl::InternalError(absl::StrCat(
        "the answer has another form than this heddlectl knows; are the versions the same? (",
        error.what(), ")"));
  }
}

std::string Field(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

std::string Joined(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end()) return "";
  return absl::StrJoin(it->get<std::vector<std::string>>(), ",");
}

std::string YesNo(bool yes) { return yes ? "yes" : "NO"; }

// What an InterceptionPolicy has taken out of the capture, and that it fails open.
std::string InterceptionNotes(const Json& pod) {
  const auto interception = pod.find("interception");
  if (interception == pod.end()) return "";
  size_t excluded = 0;
  for (const auto& [key, value] : interception->items()) {
    if (value.is_array()) excluded += value.size();
  }
  return absl::StrCat(excluded > 0 ? absl::StrCat(", ", excluded, " exclusion(s)") : "",
                      Field(*interception, "failMode") == "Open" ? ", fails open" : "");
}

std::string CapturedCell(const Json& pod) {
  if (!pod.at("captured").get<bool>()) return absl::StrCat("NO: ", Field(pod, "problem"));
  const std::string how = absl::StrCat(Field(pod, "how"), InterceptionNotes(pod));
  const auto strays = pod.find("processesOutsideCgroup");
  if (pod.value("leaving", false)) return absl::StrCat(how, ", leaving the mesh");
  if (strays == pod.end() || strays->empty()) return how;
  return absl::StrCat(how, ", BUT ", strays->size(), " process(es) outside its cgroup");
}

std::string PodName(const Json& pod) {
  return absl::StrCat(Field(pod, "namespace"), "/", Field(pod, "name"));
}

void AddPods(const Json& pods, const std::string& node, Table& table) {
  for (const Json& pod : pods) {
    table.Add({node, PodName(pod), Joined(pod, "addresses"), CapturedCell(pod),
               Field(pod, "capturedSince")});
  }
}

}  // namespace

absl::StatusOr<std::string> AgentStatusTable(std::string_view agent_status, std::string_view pods) {
  return FromJson([&] {
    const Json status = Json::parse(agent_status);
    Table agent(
        {"NODE", "READY", "CONTROLLER", "BACKEND", "WORKERS", "CAPTURED", "PROBLEMS", "VERSION"});
    const bool ready = status.at("ready");
    const bool connected = status.at("controller").at("connected");
    agent.Add({Field(status, "node"),
               ready ? "yes" : absl::StrCat("NO: ", Field(status, "notReadyBecause")),
               connected ? "connected"
                         : absl::StrCat("LOST: ", Field(status.at("controller"), "lastError")),
               Field(status, "backend"), Field(status, "workers"), Field(status, "podsCaptured"),
               Field(status, "podsWithProblems"), Field(status, "version")});
    Table captured({"NODE", "POD", "ADDRESSES", "CAPTURED", "SINCE"});
    AddPods(Json::parse(pods), Field(status, "node"), captured);
    return absl::StrCat(agent.ToString(), "\n", captured.ToString());
  });
}

absl::StatusOr<std::string> Readiness(std::string_view agent_status) {
  TRY_ASSIGN(const std::string pending, FromJson([&] {
               const Json status = Json::parse(agent_status);
               const bool ready = status.at("ready");
               return ready ? "" : absl::StrCat("pending: ", Field(status, "notReadyBecause"));
             }));
  if (pending.empty()) return "ready\n";
  return absl::UnavailableError(absl::StrCat("the agent is not ready, ", pending));
}

absl::StatusOr<std::string> NodesTable(std::string_view controller_nodes) {
  return FromJson([&] {
    const Json nodes = Json::parse(controller_nodes);
    Table table({"NODE", "CONNECTED", "VERSION", "CONTROLLER", "PODS CAPTURED"});
    Table captured({"NODE", "POD", "ADDRESSES", "CAPTURED", "SINCE"});
    for (const Json& node : nodes) {
      const std::string name = Field(node, "node");
      // A controller that is a version behind does not tell.
      const std::string version = Field(node, "agentVersion");
      const std::string controller = Field(node, "controllerVersion");
      table.Add({name, YesNo(node.at("connected")), version.empty() ? "-" : version,
                 controller.empty() ? "-" : controller, std::to_string(node.at("pods").size())});
      for (const Json& pod : node.at("pods")) {
        captured.Add({name, PodName(pod), Joined(pod, "addresses"), Field(pod, "how"),
                      Field(pod, "capturedSince")});
      }
    }
    return absl::StrCat(table.ToString(), "\n", captured.ToString());
  });
}

absl::StatusOr<std::string> PodsTable(std::string_view pods) {
  return FromJson([&] {
    Table table({"POD", "ADDRESSES", "SERVICE ACCOUNT", "CAPTURED", "SINCE", "NETNS"});
    for (const Json& pod : Json::parse(pods)) {
      table.Add({PodName(pod), Joined(pod, "addresses"), Field(pod, "serviceAccount"),
                 CapturedCell(pod), Field(pod, "capturedSince"), Field(pod, "netns")});
    }
    return table.ToString();
  });
}

absl::StatusOr<std::string> ConnectionsTable(std::string_view connections, std::string_view pods) {
  return FromJson([&] {
    std::map<std::string, std::string> names;
    for (const Json& pod : Json::parse(pods)) names[Field(pod, "uid")] = PodName(pod);
    Table table(
        {"POD", "KIND", "SOURCE", "ORIGINAL DESTINATION", "ACTUAL DESTINATION", "PEER IDENTITY"});
    for (const Json& connection : Json::parse(connections)) {
      const std::string uid = Field(connection, "podUid");
      const auto name = names.find(uid);
      table.Add({name == names.end() ? uid : name->second, Field(connection, "kind"),
                 Field(connection, "src"), Field(connection, "originalDst"),
                 Field(connection, "actualDst"), Field(connection, "peerIdentity")});
    }
    return table.ToString();
  });
}

absl::StatusOr<std::string> PoliciesTable(std::string_view policies) {
  return FromJson([&] {
    Table table({"POLICY", "SCOPE", "ACTION", "RULES", "STATE"});
    for (const Json& policy : Json::parse(policies)) {
      const std::string refused = Field(policy, "refused");
      const bool dry_run = policy.value("dryRun", false);
      table.Add({PodName(policy), Field(policy, "scope"), Field(policy, "action"),
                 std::to_string(policy.at("rules").size()),
                 !refused.empty() ? absl::StrCat("REFUSED (denies all): ", refused)
                 : dry_run        ? "dry run"
                                  : "enforced"});
    }
    return table.ToString();
  });
}

namespace {

// Enough of a serial number to tell roots apart.
constexpr size_t kSerialDigits = 8;

std::string RootSerials(const Json& roots) {
  std::string serials;
  for (const Json& root : roots) {
    absl::StrAppend(&serials, serials.empty() ? "" : ",",
                    Field(root, "serialNumber").substr(0, kSerialDigits));
  }
  return serials.empty() ? "-" : serials;
}

}  // namespace

absl::StatusOr<std::string> CertificatesTable(std::string_view certificates) {
  return FromJson([&] {
    Table table({"IDENTITY", "STATE", "SERIAL", "VALID FROM", "EXPIRES", "ROOTS"});
    for (const Json& certificate : Json::parse(certificates)) {
      const Json& chain = certificate.at("certChain");
      const Json leaf = chain.empty() ? Json::object() : chain.at(0);
      table.Add({Field(certificate, "identity"), Field(certificate, "state"),
                 Field(leaf, "serialNumber"), Field(leaf, "validFrom"),
                 Field(leaf, "expirationTime"), RootSerials(certificate.at("rootCerts"))});
    }
    return table.ToString();
  });
}

}  // namespace heddle::cli
