#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::controlplane::ca {

// A certificate that has been decided on: who asked may have it.
struct SigningOrder {
  tls::SpiffeId identity;
  // PEM, PKCS#10. Of it only the key counts, and that its owner possesses it.
  std::string signing_request;
  // Wished for. Zero or less: the signer's own default. A signer may give less.
  absl::Duration lifetime;
};

// Signs certificates: our own authority, or one elsewhere. Has no policy: see CertificateService.
// One loop's.
class Signer {
 public:
  virtual ~Signer() = default;
  // PEM: leaf, then intermediates, and last the bundle of trusted roots. `order` outlives the task.
  // INVALID_ARGUMENT when the request is at fault.
  virtual Task<absl::StatusOr<std::vector<std::string>>> Sign(const SigningOrder& order,
                                                              StopToken stop) = 0;
};

}  // namespace heddle::controlplane::ca
