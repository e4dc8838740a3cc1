#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/identity/certificate_signer.h"
#include "agent/identity/issued_certificate.h"
#include "agent/seams/certificates.h"
#include "lib/base/random.h"
#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"

namespace heddle::agent {

struct CertificateStoreLimits {
  size_t fetches_max = 8;  // Requests to the authority under way at once.
  absl::Duration backoff_min = absl::Seconds(1);
  absl::Duration backoff_max = absl::Seconds(150);
};

// Keeps a valid certificate for each identity of this node: fetched when the identity appears,
// renewed at half its life, kept while the authority cannot be reached, forgotten with the last pod
// that has the identity. A failure is retried for ever with back-off and jitter. Nothing here ever
// makes anybody fall back to plaintext: without a valid certificate there are no connections.
//
//   per identity:  fetch -> (failed) wait with back-off -> fetch
//                        -> (got)    publish, wait for half-life -> fetch with a new key
//
// Control loop only.
class CertificateStore {
 public:
  struct Parts {
    io::Loop& loop;
    Random& random;
    CertificateSigner& signer;
    // Keys and chains are kept in this directory (on tmpfs), so that a restarted agent need not wait for the
    // authority. Empty: nowhere.
    std::string directory;
    std::vector<tls::Group> groups = {tls::Group::kX25519};  // Key exchange of tunnels, preferred first.
  };
  // Called with each new set; the proxy takes it from there.
  using Publish = absl::AnyInvocable<void(std::shared_ptr<const Certificates>)>;

  CertificateStore(const Parts& parts, const CertificateStoreLimits& limits, Publish publish);

  // The identities that this node needs from now on.
  void Want(const std::set<tls::SpiffeId>& identities);
  // Fetches every certificate anew, with the authority's roots of now; the old ones serve until then.
  void Renew();
  std::shared_ptr<const Certificates> current() const { return current_; }
  ~CertificateStore();

  // Ends all fetches; certificates stay with those who hold them. Call before destroying it.
  Task<void> Stop();

  uint64_t fetched_total() const { return fetched_total_; }
  uint64_t failed_total() const { return failed_total_; }

 private:
  struct Identity;
  Task<void> Keep(Identity& identity, StopToken stop);
  Task<absl::Status> FetchInTurn(Identity& identity, StopToken stop);
  Task<absl::Status> Fetch(Identity& identity, StopToken stop);
  Task<void> End(std::unique_ptr<Identity> identity);
  void LoadSaved(Identity& identity);
  void Save(const tls::SpiffeId& identity, const IssuedCertificate& issued);
  void PublishAll();
  std::string PathOf(const tls::SpiffeId& identity) const;

  const Parts parts_;
  const CertificateStoreLimits limits_;
  Publish publish_;
  const TunnelTls tls_;  // Contexts of one node share what they know of peers.
  absl::flat_hash_map<tls::SpiffeId, std::unique_ptr<Identity>> identities_;
  std::shared_ptr<const Certificates> current_ = std::make_shared<const Certificates>();
  size_t fetches_ = 0;
  WaitQueue fetch_ended_;
  WaitQueue renewal_asked_;
  uint64_t fetched_total_ = 0;
  uint64_t failed_total_ = 0;
  Scope scope_;
};

}  // namespace heddle::agent
