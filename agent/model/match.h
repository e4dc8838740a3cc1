#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/policy.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

// How policies match.
namespace heddle::agent {

// "Maybe" exists only when facts are left open (DeniesAllPlaintext): true for some connections and false for others.
enum class Tri : uint8_t { kNo, kMaybe, kYes };

// What of an identity is compared, taken apart once for all policies. All empty without one, which no entry matches.
struct IdentityText {
  std::string_view principal;  // Without "spiffe://".
  std::string_view name_space;
  std::string_view service_account;

  IdentityText() = default;
  explicit IdentityText(const tls::SpiffeId* id);
};

// Facts of which some may be open. Whether there is an identity is always known.
struct Facts {
  std::optional<io::IpAddress> source;
  std::optional<io::IpAddress> destination;
  std::optional<uint16_t> destination_port;
  IdentityText identity;
};

Tri Matches(const Rule& rule, const Facts& facts);
// Any rule; none: no.
Tri Matches(const Policy& policy, const Facts& facts);

}  // namespace heddle::agent
