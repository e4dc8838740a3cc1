#include "controlplane/authentication.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <optional>
#include <string_view>

#include "lib/base/log.h"
#include "lib/base/strings.h"

namespace heddle::controlplane {
namespace {

// The scheme's name has no case (RFC 9110 section 11.1).
constexpr std::string_view kScheme = "bearer ";

std::optional<std::string> NodeOf(const ca::NodeTokens& tokens, std::string_view credentials) {
  if (!absl::StartsWithIgnoreCase(ToAbsl(credentials), ToAbsl(kScheme))) return std::nullopt;
  return tokens.NodeOf(credentials.substr(kScheme.size()));
}

}  // namespace

absl::StatusOr<std::string> Authenticate(const ca::NodeTokens& tokens,
                                         const grpc::ServerCall& call) {
  // Two fields could mean one thing to us and another to a proxy before us.
  const bool has_one = call.metadata().Count("authorization") == 1;
  if (has_one) {
    const auto node = NodeOf(tokens, call.metadata().Get("authorization"));
    if (node.has_value()) return *node;
  }
  const absl::Status refusal = absl::UnauthenticatedError(
      has_one ? "this token is no node's: is the node's token file a copy of the controller's "
                "tokens/<node>?"
              : "the call has no 'authorization: Bearer <node token>'");
  LOG_WARN("call.unauthenticated", KV("peer", call.peer().address), KV("method", call.path()),
           KV("reason", refusal));
  return refusal;
}

absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed) {
  if (claimed.empty() || claimed == node) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the token is of node ", node, ", but the call speaks for node ", claimed));
}

}  // namespace heddle::controlplane
