#include "controlplane/authentication.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <string_view>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/strings.h"

namespace heddle::controlplane {
namespace {

using callers::Admission;
using callers::Caller;
using callers::Reason;
using callers::Refusal;

// The scheme's name has no case (RFC 9110 section 11.1).
constexpr std::string_view kScheme = "bearer ";

// Anybody can call without a token, so what is said of it is bounded. The counters count all.
constexpr absl::Duration kLogInterval = absl::Seconds(1);
constexpr size_t kMaxLoggedPath = 256;

Unexpected<Refusal> Refused(Reason reason, std::string sentence) {
  return Unexpected<Refusal>(Refusal{reason, std::move(sentence)});
}

}  // namespace

Task<Admission<Caller>> NodeTokenVerifier::Verify(std::string token, StopToken) {
  const auto node = tokens_.NodeOf(token);
  if (node.has_value()) co_return Caller{.node = *node, .pod = {}, .pod_uid = {}};
  co_return Refused(Reason::kTokenInvalid,
                    "this token is no node's: is the node's token file a copy of the controller's "
                    "tokens/<node>?");
}

Authenticator::Authenticator(io::Loop& loop, callers::Verifier& verifier,
                             metrics::Registry& registry)
    : loop_(loop), verifier_(verifier) {
  for (size_t i = 0; i < refused_.size(); ++i) {
    refused_[i] = std::make_unique<metrics::Counter>(
        registry,
        metrics::Description{.name = "heddle_controller_calls_unauthenticated",
                             .help = "Calls that did not prove to be an agent's, by reason.",
                             .labels = {{"reason", ToString(static_cast<Reason>(i))}}});
  }
}

grpc::Server::StreamHandler Authenticator::Admit(Handler handler) {
  return [this, handler = std::move(handler)](grpc::ServerCall& call) mutable {
    return Serve(call, handler);
  };
}

Task<absl::Status> Authenticator::Serve(grpc::ServerCall& call, Handler& handler) {
  const Admission<Caller> caller = co_await Authenticate(call);
  if (!caller.has_value()) co_return Refuse(call, caller.error());
  std::optional<Refusal> gone;
  Scope watching(loop_);
  watching.Spawn(EndWhenGone(call, *caller, gone, watching.stop()));
  const absl::Status status = co_await handler(call, caller->node);
  co_await watching.Drain();
  if (!gone.has_value()) co_return status;
  co_return Refuse(call, *gone);
}

Task<Admission<Caller>> Authenticator::Authenticate(grpc::ServerCall& call) {
  // Two fields could mean one thing to us and another to a proxy before us.
  const std::string_view credentials = call.metadata().Get("authorization");
  if (call.metadata().Count("authorization") != 1 ||
      !absl::StartsWithIgnoreCase(ToAbsl(credentials), ToAbsl(kScheme))) {
    co_return Refused(Reason::kTokenMissing, "the call has no 'authorization: Bearer <token>'");
  }
  std::string token(credentials.substr(kScheme.size()));
  co_return co_await verifier_.Verify(std::move(token), call.stop());
}

Task<void> Authenticator::EndWhenGone(grpc::ServerCall& call, const Caller& caller,
                                      std::optional<Refusal>& gone, StopToken stop) {
  while (co_await loop_.Sleep(kRecheckInterval, stop)) {
    gone = verifier_.Recheck(caller);
    if (!gone.has_value()) continue;
    call.RequestStop();
    co_return;
  }
}

absl::Status Authenticator::Refuse(const grpc::ServerCall& call, const Refusal& refusal) {
  refused_[static_cast<size_t>(refusal.reason)]->Add();
  if (loop_.Now() >= log_again_) {
    log_again_ = loop_.Now() + kLogInterval;
    LOG_WARN("call.unauthenticated", KV("peer", call.peer().address),
             KV("method", call.path().substr(0, kMaxLoggedPath)),
             KV("reason", ToString(refusal.reason)), KV("error", refusal.sentence));
  }
  return callers::StatusOf(refusal);
}

absl::Status CheckClaimedNode(const std::string& node, const std::string& claimed) {
  if (claimed.empty() || claimed == node) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the token is of node ", node, ", but the call speaks for node ", claimed));
}

}  // namespace heddle::controlplane
