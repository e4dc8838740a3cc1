#include "controlplane/server_certificate.h"

#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::controlplane {

absl::Status ServerCertificate::Renew() {
  const uint64_t generation = authority_.generation();
  TRY_ASSIGN(tls::Credential credential, authority_.IssueServer(dns_names_));
  const tls::Certificate leaf = credential.chain.front();
  tls::ContextOptions options;
  options.credential = std::move(credential);
  options.alpn = {"h2"};
  TRY_ASSIGN(context_, tls::TlsContext::Create(std::move(options), clock_));
  generation_ = generation;
  not_after_ = leaf.not_after();
  renew_at_ = leaf.not_before() + (leaf.not_after() - leaf.not_before()) / 2;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const tls::TlsContext>> ServerCertificate::Context() {
  const absl::Time now = clock_.Wall();
  if (now < renew_at_ && generation_ == authority_.generation()) return context_;
  const absl::Status renewed = Renew();
  if (renewed.ok()) return context_;
  if (now >= not_after_) return Annotate(renewed, "the controller's own certificate");
  LOG_ERROR("server.certificate.not_renewed", KV("expires", absl::FormatTime(not_after_)),
            KV("error", renewed));
  return context_;
}

}  // namespace heddle::controlplane
