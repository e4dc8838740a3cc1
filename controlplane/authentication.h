#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "controlplane/ca/node_tokens.h"
#include "lib/base/clock.h"
#include "lib/grpc/server_call.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// Says which node makes a call, by its "authorization: Bearer <token>". Asked before anything of
// the call's body is read. One loop's.
class Authenticator {
 public:
  // All outlive this.
  Authenticator(const ca::NodeTokens& tokens, const Clock& clock, metrics::Registry& registry);

  // The node's name. UNAUTHENTICATED: no token, or nobody's.
  absl::StatusOr<std::string> Authenticate(const grpc::ServerCall& call);

 private:
  absl::Status Refuse(const grpc::ServerCall& call, const char* reason);

  const ca::NodeTokens& tokens_;
  const Clock& clock_;
  MonotonicTime log_again_;
  metrics::Counter refused_;
};

// PERMISSION_DENIED when a call names another node than its token does: a token file in the wrong
// place. An empty name claims nothing.
absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed);

}  // namespace heddle::controlplane
