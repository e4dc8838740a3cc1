#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

// Where certificates come from: the controller's CA over gRPC, or a test's issuer. Control loop.
class CertificateSigner {
 public:
  virtual ~CertificateSigner() = default;
  // The chain for the key in `csr` (PEM): leaf, intermediates, last the roots. The stop token has
  // the deadline.
  virtual Task<absl::StatusOr<std::vector<std::string>>> Sign(tls::SpiffeId identity,
                                                              std::string csr, StopToken stop) = 0;
};

}  // namespace heddle::agent
