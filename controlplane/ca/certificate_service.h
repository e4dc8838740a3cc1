#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <utility>
#include <vector>

#include "controlplane/ca/signer.h"

namespace heddle::controlplane::ca {

// What a node asks for.
struct CertificateRequest {
  std::string identity;         // A SPIFFE id, as text.
  std::string signing_request;  // PEM, PKCS#10.
  absl::Duration lifetime;      // Wished for; zero or less: no wish.
};

// Decides who may have which certificate, and has it signed. Inputs: a node that has proved its
// name, and what it asks for. Output: a chain, or a refusal with a sentence. Keeps nothing, so its
// only limits are those of a request's size. One loop's.
class CertificateService {
 public:
  // Whether a live pod with this identity is bound to the node.
  using MayBe = absl::AnyInvocable<bool(const std::string& node, const std::string& identity)>;

  // `signer` outlives the service.
  CertificateService(Signer& signer, MayBe may_be) : signer_(signer), may_be_(std::move(may_be)) {}

  // PERMISSION_DENIED: no live pod of the node has the identity. INVALID_ARGUMENT: the request is
  // at fault.
  Task<absl::StatusOr<std::vector<std::string>>> Sign(std::string node, CertificateRequest request,
                                                      StopToken stop);

 private:
  absl::StatusOr<tls::SpiffeId> Decide(const std::string& node, const std::string& identity);

  Signer& signer_;
  MayBe may_be_;
};

}  // namespace heddle::controlplane::ca
