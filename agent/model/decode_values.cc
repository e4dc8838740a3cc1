#include "agent/model/decode_values.h"

#include <absl/strings/str_cat.h>

#include <span>

#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

constexpr uint32_t kMappedPrefixBits = 96;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

absl::StatusOr<io::IpAddress> DecodeAddress(std::string_view bytes, std::string_view what) {
  if (const auto address = io::IpAddress::FromBytes(Bytes(bytes))) return *address;
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(what), " has ", bytes.size(), " bytes; an IP address has 4 or 16"));
}

absl::StatusOr<io::IpPrefix> DecodePrefix(std::string_view bytes, uint32_t length, std::string_view what) {
  const auto address = DecodeAddress(bytes, what);
  if (!address.ok()) return address.status();
  const bool mapped = bytes.size() == 16 && address->is_v4();
  const uint32_t own_length = mapped && length >= kMappedPrefixBits ? length - kMappedPrefixBits : length;
  const bool ambiguous = mapped && length < kMappedPrefixBits;
  const auto prefix = io::IpPrefix::Make(*address, own_length);
  if (!ambiguous && prefix.has_value()) return *prefix;
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(what), " ", address->ToString(), " cannot have a prefix of ", length, " bits"));
}

absl::StatusOr<uint16_t> DecodePort(uint32_t port, std::string_view what) {
  if (port >= 1 && port <= UINT16_MAX) return static_cast<uint16_t>(port);
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), " ", port, " is not a port (1 to 65535)"));
}

absl::StatusOr<tls::SpiffeId> MakeIdentity(std::string_view trust_domain, std::string_view name_space,
                                           std::string_view service_account) {
  return tls::SpiffeId::Create(trust_domain.empty() ? kDefaultTrustDomain : trust_domain, name_space,
                               service_account.empty() ? kDefaultServiceAccount : service_account);
}

absl::Status NameDiffers(std::string_view what, std::string_view inside) {
  return absl::InvalidArgumentError(absl::StrCat("it contains the ", ToAbsl(what), " ", ToAbsl(inside)));
}

absl::Status TooMany(std::string_view what, int count, int max) {
  return absl::ResourceExhaustedError(absl::StrCat(count, " ", ToAbsl(what), "; at most ", max, " are supported"));
}

absl::Status UnknownEnum(std::string_view what, int value) {
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), " ", value, " is unknown"));
}

}  // namespace heddle::agent
