#include "agent/identity/ca_client.h"

#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/ca.pb.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
constexpr char kIdentityKey[] = "ImpersonatedIdentity";
constexpr absl::Duration kCallTimeout = absl::Seconds(10);

}  // namespace

Task<absl::StatusOr<std::vector<std::string>>> CaClient::Sign(tls::SpiffeId identity,
                                                              std::string csr, StopToken stop) {
  istio::v1::auth::IstioCertificateRequest request;
  request.set_csr(std::move(csr));
  request.set_validity_duration(absl::ToInt64Seconds(lifetime_));
  (*request.mutable_metadata()->mutable_fields())[kIdentityKey].set_string_value(
      identity.ToString());
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, authorize_());
  options.timeout = kCallTimeout;
  auto response = co_await grpc::CallTyped<istio::v1::auth::IstioCertificateResponse>(
      channel_, kMethod, request, std::move(options), stop);
  if (!response.ok()) co_return Annotate(response.status(), "CreateCertificate");
  co_return std::vector<std::string>(response->cert_chain().begin(), response->cert_chain().end());
}

}  // namespace heddle::agent
