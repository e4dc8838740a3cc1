#pragma once

#include "controlplane/authentication.h"
#include "controlplane/ca/certificate_service.h"
#include "lib/grpc/server_call.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// istio.v1.auth.IstioCertificateService/CreateCertificate as it is on the wire; the decision is
// CertificateService's. Served as a stream of one message, so that the caller is known before its
// message is read. One loop's.
class SigningEndpoint {
 public:
  static constexpr char kMethod[] = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

  SigningEndpoint(ca::CertificateService& service, Authenticator& authenticator,
                  metrics::Registry& registry);

  Task<absl::Status> Serve(grpc::ServerCall& call);

 private:
  ca::CertificateService& service_;
  Authenticator& authenticator_;
  metrics::Counter signed_;
  metrics::Counter refused_;
};

}  // namespace heddle::controlplane
