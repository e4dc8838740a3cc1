#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

// What the agent and the controller answer, as tables for people. Pure functions; an answer of
// another form is an error that says so, never a guess.
namespace heddle::cli {

absl::StatusOr<std::string> AgentStatusTable(std::string_view agent_status, std::string_view pods);
// "ready", or why the agent is not, as an error: for probes.
absl::StatusOr<std::string> Readiness(std::string_view agent_status);
absl::StatusOr<std::string> NodesTable(std::string_view controller_nodes);
absl::StatusOr<std::string> PodsTable(std::string_view pods);
absl::StatusOr<std::string> ConnectionsTable(std::string_view connections, std::string_view pods);
absl::StatusOr<std::string> PoliciesTable(std::string_view policies);
absl::StatusOr<std::string> CertificatesTable(std::string_view certificates);

}  // namespace heddle::cli
