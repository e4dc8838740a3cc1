#pragma once

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

  SigningEndpoint(ca::CertificateService& service, metrics::Registry& registry);

  // A call of this node.
  Task<absl::Status> Serve(grpc::ServerCall& call, const std::string& node);

 private:
  ca::CertificateService& service_;
  metrics::Counter signed_;
  metrics::Counter refused_;
};

}  // namespace heddle::controlplane
