#include "controlplane/ca/certificate_service.h"

#include <absl/strings/str_cat.h>

#include "lib/base/log.h"

namespace heddle::controlplane::ca {

absl::StatusOr<tls::SpiffeId> CertificateService::Decide(const std::string& node,
                                                         const std::string& identity) {
  auto id = tls::SpiffeId::Parse(identity);
  if (!id.ok()) return id;
  if (may_be_(node, id->ToString())) return id;
  return absl::PermissionDeniedError(
      absl::StrCat("no live pod with the identity ", id->ToString(), " is bound to node ", node));
}

Task<absl::StatusOr<std::vector<std::string>>> CertificateService::Sign(std::string node,
                                                                        CertificateRequest request,
                                                                        StopToken stop) {
  absl::StatusOr<std::vector<std::string>> chain = std::vector<std::string>();
  const std::string asked = request.identity.substr(0, tls::kMaxSpiffeIdBytes);  // For the log.
  auto id = Decide(node, request.identity);
  if (id.ok()) {
    const SigningOrder order{.identity = *std::move(id),
                             .signing_request = std::move(request.signing_request),
                             .lifetime = request.lifetime};
    chain = co_await signer_.Sign(order, stop);
  } else {
    chain = id.status();
  }
  if (chain.ok()) {
    LOG_INFO("ca.signed", KV("node", node), KV("identity", asked));
  } else {
    LOG_WARN("ca.refused", KV("node", node), KV("identity", asked), KV("reason", chain.status()));
  }
  co_return chain;
}

}  // namespace heddle::controlplane::ca
