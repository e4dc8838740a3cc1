#include "agent/identity/certificate_store.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "lib/base/backoff.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/tls/private_key.h"
#include "lib/tls/signing_request.h"

namespace heddle::agent {
namespace {

constexpr absl::Duration kFetchTimeout = absl::Seconds(10);
constexpr absl::Duration kClockCheckInterval = absl::Minutes(1);

}  // namespace

// One identity and the task that keeps its certificate.
struct CertificateStore::Identity {
  Identity(io::Loop& loop, tls::SpiffeId id_in, const CertificateStoreLimits& limits)
      : id(std::move(id_in)), backoff(limits.backoff_min, limits.backoff_max), scope(loop) {}

  const tls::SpiffeId id;
  std::optional<IdentityCertificate> certificate;
  std::string failure;
  bool renewal_asked = false;
  Backoff backoff;
  Scope scope;
};

CertificateStore::CertificateStore(const Parts& parts, const CertificateStoreLimits& limits,
                                   Publish publish)
    : parts_(parts),
      limits_(limits),
      publish_(std::move(publish)),
      tls_{parts.groups, std::make_shared<tls::VerifiedChains>()},
      fetch_ended_(parts.loop),
      renewal_asked_(parts.loop),
      scope_(parts.loop) {}

CertificateStore::~CertificateStore() { CHECK(identities_.empty()); }

void CertificateStore::Want(const std::set<tls::SpiffeId>& identities) {
  bool changed = false;
  for (auto it = identities_.begin(); it != identities_.end();) {
    const auto here = it++;
    if (identities.contains(here->first)) continue;
    if (!parts_.directory.empty()) ::unlink(PathOf(here->first).c_str());
    scope_.Spawn(End(std::move(here->second)));
    identities_.erase(here);
    changed = true;
  }
  for (const tls::SpiffeId& id : identities) {
    if (identities_.contains(id)) continue;
    auto made = std::make_unique<Identity>(parts_.loop, id, limits_);
    Identity& identity = *identities_.emplace(id, std::move(made)).first->second;
    LoadSaved(identity);
    identity.scope.Spawn(Keep(identity, identity.scope.stop()));
    changed = true;
  }
  if (changed) PublishAll();
}

void CertificateStore::Renew() {
  for (auto& [id, identity] : identities_) identity->renewal_asked = true;
  renewal_asked_.NotifyAll();
}

Task<void> CertificateStore::End(std::unique_ptr<Identity> identity) {
  co_await identity->scope.Drain();
}

Task<void> CertificateStore::Stop() {
  for (auto& [id, identity] : identities_) scope_.Spawn(End(std::move(identity)));
  identities_.clear();
  co_await scope_.Join();
}

Task<void> CertificateStore::Keep(Identity& identity, StopToken stop) {
  const Clock& clock = parts_.loop.clock();
  while (!stop.requested()) {
    if (identity.certificate && !identity.renewal_asked) {
      const absl::Duration rest = RenewalTime(*identity.certificate) - clock.Wall();
      // A wall clock that jumps must not make us sleep through the renewal.
      const absl::Duration nap = std::min(rest, kClockCheckInterval);
      if (rest > absl::ZeroDuration()) {
        Deadline awake(parts_.loop, stop, nap);
        co_await renewal_asked_.Wait(awake.token());
        continue;
      }
    }
    const bool asked = std::exchange(identity.renewal_asked, false);
    const absl::Status status = co_await FetchInTurn(identity, stop);
    if (stop.requested()) break;
    if (status.ok()) {
      // One that is due again at once (the authority's own end is near) must not become a storm.
      if (RenewalTime(*identity.certificate) <= clock.Wall()) {
        co_await parts_.loop.Sleep(identity.backoff.Next(parts_.random), stop);
      }
      continue;
    }
    ++failed_total_;
    if (asked) identity.renewal_asked = true;
    identity.failure = std::string(status.message());
    const absl::Duration delay = identity.backoff.Next(parts_.random);
    LOG_WARN("cert.fetch.failed", KV("identity", identity.id), KV("error", status),
             KV("retry_in", absl::FormatDuration(delay)));
    PublishAll();
    co_await parts_.loop.Sleep(delay, stop);
  }
}

Task<absl::Status> CertificateStore::FetchInTurn(Identity& identity, StopToken stop) {
  while (fetches_ >= limits_.fetches_max) {
    if (!co_await fetch_ended_.Wait(stop)) co_return absl::CancelledError("stopped");
  }
  ++fetches_;
  const absl::Status status = co_await Fetch(identity, stop);
  --fetches_;
  fetch_ended_.NotifyOne();
  co_return status;
}

Task<absl::Status> CertificateStore::Fetch(Identity& identity, StopToken stop) {
  const tls::PrivateKey key = tls::PrivateKey::Generate();
  Deadline deadline(parts_.loop, stop, kFetchTimeout);
  auto chain = co_await parts_.signer.Sign(identity.id, tls::CreateSigningRequest(key, identity.id),
                                           deadline.token());
  if (!chain.ok()) co_return chain.status();
  const IssuedCertificate issued{.key = key.ToPem(), .chain = *std::move(chain)};
  auto certificate = MakeIdentityCertificate(identity.id, issued, tls_, parts_.loop.clock());
  if (!certificate.ok()) co_return Annotate(certificate.status(), "unusable certificate");
  // Forgotten meanwhile: its key must not come back to the run directory.
  if (stop.requested()) co_return absl::CancelledError("stopped");
  identity.certificate = *std::move(certificate);
  identity.failure.clear();
  if (RenewalTime(*identity.certificate) > parts_.loop.clock().Wall()) identity.backoff.Reset();
  ++fetched_total_;
  LOG_INFO("cert.fetched", KV("identity", identity.id),
           KV("not_after", absl::FormatTime(identity.certificate->not_after)));
  Save(identity.id, issued);
  PublishAll();
  co_return absl::OkStatus();
}

void CertificateStore::PublishAll() {
  Certificates::Map entries;
  for (const auto& [id, identity] : identities_) {
    entries[id] = {.certificate = identity->certificate, .failure = identity->failure};
  }
  current_ = std::make_shared<const Certificates>(std::move(entries));
  publish_(current_);
}

std::string CertificateStore::PathOf(const tls::SpiffeId& identity) const {
  // Trust domain, namespace and account hold no '/' and no '+' (SpiffeId), so names do not collide.
  return absl::StrCat(parts_.directory, "/", ToAbsl(identity.trust_domain()), "+",
                      ToAbsl(identity.name_space()), "+", ToAbsl(identity.service_account()));
}

void CertificateStore::LoadSaved(Identity& identity) {
  if (parts_.directory.empty()) return;
  std::ifstream file(PathOf(identity.id));
  if (!file) return;
  std::ostringstream text;
  text << file.rdbuf();
  const auto issued = DecodeIssuedCertificate(text.str());
  if (!issued.ok()) return;
  auto certificate = MakeIdentityCertificate(identity.id, *issued, tls_, parts_.loop.clock());
  if (certificate.ok()) identity.certificate = *std::move(certificate);
}

void CertificateStore::Save(const tls::SpiffeId& identity, const IssuedCertificate& issued) {
  if (parts_.directory.empty()) return;
  const absl::Status saved =
      ReplaceFile(PathOf(identity), EncodeIssuedCertificate(issued), Durability::kProcessCrash);
  if (!saved.ok()) LOG_WARN("cert.save.failed", KV("identity", identity), KV("error", saved));
}

}  // namespace heddle::agent
