#pragma once

#include <absl/status/statusor.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include <span>

#include "lib/tls/certificate.h"

// Names as BoringSSL writes them into certificates and requests; not for other modules.
namespace heddle::tls {

absl::StatusOr<bssl::UniquePtr<GENERAL_NAMES>> MakeGeneralNames(
    std::span<const SubjectAltName> names);

}  // namespace heddle::tls
