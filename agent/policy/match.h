#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/policy.h"
#include "agent/policy/authorizer.h"

// How one policy matches; used by the authorizer.
namespace heddle::agent {

// "Maybe" exists only when facts are left open (DeniesAllPlaintext): true for some connections and false for others.
enum class Tri : uint8_t { kNo, kMaybe, kYes };

// Facts of which some may be open. Whether there is an identity is always known.
struct Facts {
  std::optional<io::IpAddress> source;
  std::optional<io::IpAddress> destination;
  std::optional<uint16_t> destination_port;
  const tls::SpiffeId* identity = nullptr;
};

// Any rule; none: no.
Tri Matches(const Policy& policy, const Facts& facts);

}  // namespace heddle::agent
