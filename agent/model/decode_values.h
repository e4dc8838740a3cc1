#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

// The parts that several resources have in common; for the decode_*.cc files.
namespace heddle::agent {

inline constexpr std::string_view kDefaultTrustDomain = "cluster.local";
inline constexpr std::string_view kDefaultServiceAccount = "default";

// 4 or 16 bytes; `what` begins the sentence of an error.
absl::StatusOr<io::IpAddress> DecodeAddress(std::string_view bytes, std::string_view what);
// A block. An IPv4-mapped IPv6 block becomes the IPv4 block it is.
absl::StatusOr<io::IpPrefix> DecodePrefix(std::string_view bytes, uint32_t length, std::string_view what);
// 1 to 65535.
absl::StatusOr<uint16_t> DecodePort(uint32_t port, std::string_view what);
// With the mesh's defaults for an empty trust domain and service account.
absl::StatusOr<tls::SpiffeId> MakeIdentity(std::string_view trust_domain, std::string_view name_space,
                                           std::string_view service_account);
absl::Status NameDiffers(std::string_view what, std::string_view inside);
absl::Status TooMany(std::string_view what, int count, int max);
absl::Status UnknownEnum(std::string_view what, int value);

}  // namespace heddle::agent
