#include "controlplane/authentication.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <string_view>

#include "lib/base/log.h"
#include "lib/base/strings.h"

namespace heddle::controlplane {
namespace {

// The scheme's name has no case (RFC 9110 section 11.1).
constexpr std::string_view kScheme = "bearer ";

// Anybody can call without a token, so what is said of it is bounded. The counter counts all.
constexpr absl::Duration kLogInterval = absl::Seconds(1);
constexpr size_t kMaxLoggedPath = 256;

}  // namespace

Authenticator::Authenticator(const ca::NodeTokens& tokens, const Clock& clock,
                             metrics::Registry& registry)
    : tokens_(tokens),
      clock_(clock),
      refused_(registry, {.name = "heddle_controller_calls_unauthenticated",
                          .help = "Calls without a node's token."}) {}

absl::StatusOr<std::string> Authenticator::Authenticate(const grpc::ServerCall& call) {
  // Two fields could mean one thing to us and another to a proxy before us.
  const std::string_view credentials = call.metadata().Get("authorization");
  if (call.metadata().Count("authorization") != 1 ||
      !absl::StartsWithIgnoreCase(ToAbsl(credentials), ToAbsl(kScheme))) {
    return Refuse(call, "the call has no 'authorization: Bearer <node token>'");
  }
  const auto node = tokens_.NodeOf(credentials.substr(kScheme.size()));
  if (node.has_value()) return *node;
  return Refuse(call,
                "this token is no node's: is the node's token file a copy of the controller's "
                "tokens/<node>?");
}

absl::Status Authenticator::Refuse(const grpc::ServerCall& call, const char* reason) {
  refused_.Add();
  if (clock_.Monotonic() >= log_again_) {
    log_again_ = clock_.Monotonic() + kLogInterval;
    LOG_WARN("call.unauthenticated", KV("peer", call.peer().address),
             KV("method", call.path().substr(0, kMaxLoggedPath)), KV("reason", reason));
  }
  return absl::UnauthenticatedError(reason);
}

absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed) {
  if (claimed.empty() || claimed == node) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the token is of node ", node, ", but the call speaks for node ", claimed));
}

}  // namespace heddle::controlplane
