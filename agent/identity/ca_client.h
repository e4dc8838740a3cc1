#pragma once

#include <string>

#include "agent/identity/certificate_signer.h"
#include "lib/grpc/channel.h"

namespace heddle::agent {

// Istio's CreateCertificate (istio.v1.auth.IstioCertificateService, unary): asks the controller, or
// istiod, to sign for an identity of a pod on this node. Control loop.
class CaClient final : public CertificateSigner {
 public:
  // `authorize` returns the header fields of each call; it reads the token anew, because tokens
  // rotate. The channel outlives this.
  using Authorize = absl::AnyInvocable<absl::StatusOr<grpc::Metadata>()>;
  CaClient(grpc::Channel& channel, Authorize authorize, absl::Duration lifetime)
      : channel_(channel), authorize_(std::move(authorize)), lifetime_(lifetime) {}

  Task<absl::StatusOr<std::vector<std::string>>> Sign(tls::SpiffeId identity, std::string csr,
                                                      StopToken stop) override;

 private:
  grpc::Channel& channel_;
  Authorize authorize_;
  const absl::Duration lifetime_;  // Asked for; the authority may give less.
};

}  // namespace heddle::agent
