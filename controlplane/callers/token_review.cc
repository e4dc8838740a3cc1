#include "controlplane/callers/token_review.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "lib/base/strings.h"

namespace heddle::controlplane::callers {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxErrorBytes = 256;

Unexpected<Refusal> Refuse(Reason reason, std::string sentence) {
  return Unexpected<Refusal>(Refusal{reason, std::move(sentence)});
}

// What the server says is bytes; this goes into a log line and a gRPC message.
std::string Quoted(std::string_view text) { return Printable(text, kMaxErrorBytes); }

// Null when there is none.
const Json* Member(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

std::string Text(const Json* json) {
  return json != nullptr && json->is_string() ? json->get<std::string>() : std::string();
}

// The value of user.extra that stands there alone; empty otherwise.
std::string Extra(const Json& user, const char* name) {
  const Json* extra = Member(user, "extra");
  const Json* values = extra == nullptr ? nullptr : Member(*extra, name);
  return values != nullptr && values->is_array() && values->size() == 1 ? Text(&values->front())
                                                                        : std::string();
}

// "system:serviceaccount:NAMESPACE:NAME"; empty for anybody else.
api::NamespacedName AccountOf(const std::string& user) {
  const std::vector<std::string> parts = absl::StrSplit(user, ':');
  if (parts.size() != 4 || parts[0] != "system" || parts[1] != "serviceaccount") return {};
  return {parts[2], parts[3]};
}

bool IsForUs(const Json* audiences) {
  return audiences != nullptr && audiences->is_array() &&
         std::ranges::find(*audiences, Json(kAudience)) != audiences->end();
}

}  // namespace

std::string TokenReviewFor(std::string_view token) {
  const Json review = {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenReview"},
                       {"spec", {{"token", token}, {"audiences", {kAudience}}}}};
  // A token that came over the network is bytes.
  return review.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Admission<ReviewedToken> ReadTokenReview(std::string_view answer,
                                         const std::set<api::NamespacedName>& accounts) {
  const Json json = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  const Json* status = Member(json, "status");
  if (status == nullptr || !status->is_object())
    return Refuse(Reason::kUnavailable, "the API server's answer about the token cannot be read");
  const Json* authenticated = Member(*status, "authenticated");
  if (authenticated == nullptr || *authenticated != Json(true)) {
    const std::string why = Quoted(Text(Member(*status, "error")));
    return Refuse(Reason::kTokenInvalid,
                  absl::StrCat("the API server does not take this token", why.empty() ? "" : ": ",
                               why, "; has it expired, or was its pod or account deleted?"));
  }
  // A server that does not know audiences says nothing, and such a token may be for anybody.
  if (!IsForUs(Member(*status, "audiences"))) {
    return Refuse(Reason::kAudience,
                  absl::StrCat("the API server does not say that this token is for ", kAudience));
  }
  const Json* said = Member(*status, "user");
  const Json& user = said == nullptr ? *status : *said;
  ReviewedToken token{.account = AccountOf(Text(Member(user, "username")))};
  if (!accounts.contains(token.account)) {
    return Refuse(Reason::kServiceAccount,
                  absl::StrCat("this token is of ", Quoted(Text(Member(user, "username"))),
                               ", which is not one of --agent-service-accounts"));
  }
  token.pod = {token.account.name_space, Extra(user, "authentication.kubernetes.io/pod-name")};
  token.pod_uid = Extra(user, "authentication.kubernetes.io/pod-uid");
  token.node = Extra(user, "authentication.kubernetes.io/node-name");
  if (token.pod.name.empty() || token.pod_uid.empty()) {
    return Refuse(Reason::kPodUnbound,
                  "this token was not made for a pod: agents use the projected token of their pod");
  }
  return token;
}

Admission<Caller> CallerOf(const ReviewedToken& token, const api::ObjectStore& objects) {
  const api::Pod* pod = objects.Find<api::Pod>(token.pod);
  const std::string node = pod == nullptr ? std::string() : pod->node_name.str();
  Caller caller{.node = node, .pod = token.pod, .pod_uid = token.pod_uid};
  if (std::optional<Refusal> gone = WhyGone(caller, objects))
    return Unexpected<Refusal>(*std::move(gone));
  if (pod->service_account != token.account.name) {
    return Refuse(Reason::kServiceAccount,
                  absl::StrCat("pod ", token.pod.ToString(), " does not run as ",
                               token.account.ToString(), ", whose token it shows"));
  }
  if (!token.node.empty() && token.node != caller.node) {
    return Refuse(Reason::kNode, absl::StrCat("the token was made on node ", Quoted(token.node),
                                              ", and its pod is on node ", caller.node));
  }
  return caller;
}

std::optional<Refusal> WhyGone(const Caller& caller, const api::ObjectStore& objects) {
  const auto gone = [&caller](const char* why) {
    return Refusal{Reason::kPodGone, absl::StrCat("pod ", Quoted(caller.pod.ToString()),
                                                  " with uid ", Quoted(caller.pod_uid), why)};
  };
  const api::Pod* pod = objects.Find<api::Pod>(caller.pod);
  if (pod == nullptr || pod->meta.uid != caller.pod_uid) return gone(" is not there any more");
  if (pod->terminal) return gone(" has ended");
  if (pod->node_name.empty() || pod->node_name != caller.node)
    return gone(" is not bound to a node");
  return std::nullopt;
}

}  // namespace heddle::controlplane::callers
