#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "controlplane/ca/node_tokens.h"
#include "lib/grpc/server_call.h"

namespace heddle::controlplane {

// Which node makes this call, by its "authorization: Bearer <token>". Before anything of the call's
// body is read. UNAUTHENTICATED: no token, or nobody's.
absl::StatusOr<std::string> Authenticate(const ca::NodeTokens& tokens,
                                         const grpc::ServerCall& call);

// PERMISSION_DENIED when a call names another node than its token does: a token file in the wrong
// place. An empty name claims nothing.
absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed);

}  // namespace heddle::controlplane
