#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/ca/node_tokens.h"
#include "controlplane/callers/verifier.h"
#include "lib/grpc/server.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// Verifies tokens that stand in files, one for each node. They say nothing about pods, and are good
// as long as their file.
class NodeTokenVerifier final : public callers::Verifier {
 public:
  // `tokens` outlives this.
  explicit NodeTokenVerifier(const ca::NodeTokens& tokens) : tokens_(tokens) {}
  Task<callers::Admission<callers::Caller>> Verify(std::string token, StopToken stop) override;
  std::optional<callers::Refusal> Recheck(const callers::Caller&) const override { return {}; }

 private:
  const ca::NodeTokens& tokens_;
};

// How often it is looked at whether the caller of an open stream may go on: a pod that is deleted
// keeps what it opened this long.
inline constexpr absl::Duration kRecheckInterval = absl::Seconds(10);

// Lets calls in whose "authorization: Bearer <token>" proves a node, before anything of their body
// is read, and ends those whose proof is gone. Every refusal is counted by its reason; they are
// logged once a second at most. One loop's.
class Authenticator {
 public:
  // All outlive this.
  Authenticator(io::Loop& loop, callers::Verifier& verifier, metrics::Registry& registry);

  // `node` outlives the task.
  using Handler =
      absl::AnyInvocable<Task<absl::Status>(grpc::ServerCall& call, const std::string& node)>;
  // The method that serves those who are let in by `handler`.
  grpc::Server::StreamHandler Admit(Handler handler);

 private:
  Task<absl::Status> Serve(grpc::ServerCall& call, Handler& handler);
  Task<callers::Admission<callers::Caller>> Authenticate(grpc::ServerCall& call);
  Task<void> EndWhenGone(grpc::ServerCall& call, const callers::Caller& caller,
                         std::optional<callers::Refusal>& gone, StopToken stop);
  absl::Status Refuse(const grpc::ServerCall& call, const callers::Refusal& refusal);

  io::Loop& loop_;
  callers::Verifier& verifier_;
  MonotonicTime log_again_;
  std::array<std::unique_ptr<metrics::Counter>, callers::kReasons> refused_;
};

// PERMISSION_DENIED when a call names another node than its token does: a token file in the wrong
// place. An empty name claims nothing.
absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed);

}  // namespace heddle::controlplane
