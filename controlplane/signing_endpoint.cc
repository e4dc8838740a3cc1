#include "controlplane/signing_endpoint.h"

#include <absl/time/time.h>

#include <string>
#include <utility>

#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/ca.pb.h"

namespace heddle::controlplane {
namespace {

using Request = istio::v1::auth::IstioCertificateRequest;
using Response = istio::v1::auth::IstioCertificateResponse;

// Where Istio's proxies say for whom they ask.
constexpr char kIdentityKey[] = "ImpersonatedIdentity";

absl::StatusOr<ca::CertificateRequest> FromMessage(const std::string& message) {
  TRY_ASSIGN(Request request, grpc::Parse<Request>(message));
  const auto& fields = request.metadata().fields();
  const auto identity = fields.find(kIdentityKey);
  if (identity == fields.end() || identity->second.string_value().empty()) {
    return absl::InvalidArgumentError(
        "the request's metadata has no ImpersonatedIdentity: nodes have no identity of their own");
  }
  return ca::CertificateRequest{.identity = identity->second.string_value(),
                                .signing_request = std::move(*request.mutable_csr()),
                                .lifetime = absl::Seconds(request.validity_duration())};
}

}  // namespace

SigningEndpoint::SigningEndpoint(ca::CertificateService& service, metrics::Registry& registry)
    : service_(service),
      signed_(registry,
              {.name = "heddle_controller_certificates_signed", .help = "Certificates signed."}),
      refused_(registry, {.name = "heddle_controller_certificates_refused",
                          .help = "Certificates that a node asked for and did not get."}) {}

Task<absl::Status> SigningEndpoint::Serve(grpc::ServerCall& call, const std::string& node) {
  const auto message = co_await call.Receive();
  if (!message.ok()) co_return message.status();
  if (!message->has_value()) co_return absl::InvalidArgumentError("the call has no message");
  CO_TRY_ASSIGN(ca::CertificateRequest request, FromMessage(**message));
  auto chain = co_await service_.Sign(node, std::move(request), call.stop());
  (chain.ok() ? signed_ : refused_).Add();
  if (!chain.ok()) co_return chain.status();
  Response response;
  for (std::string& pem : *chain) *response.add_cert_chain() = std::move(pem);
  const std::string bytes = response.SerializeAsString();
  co_return co_await call.Send(bytes);
}

}  // namespace heddle::controlplane
