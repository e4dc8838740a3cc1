#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/shared_pool.h"
#include "lib/base/shared_string.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

// Of which kind a text is that many workloads have in common.
enum class TextKind : uint8_t {
  kNamespace,
  kNetwork,
  kCluster,
  kNode,
  kHostname,
  kOwner,
  kCanonicalName,
  kRevision,
  kRegion,
  kZone,
  kSubzone,
  kService,
  kPolicy,
  kCount
};

// What many workloads have in common. Those that are decoded with the same SharedParts hold each of it once. Workloads
// of one kind best come one after the other (EncodeState): then it is what the last one had, and to look for it among
// ten thousand would be several cache misses. One thread's; see SharedPool.
class SharedParts {
 public:
  SharedString Text(TextKind kind, std::string_view text);
  // With the mesh's defaults for an empty trust domain and service account.
  absl::StatusOr<tls::SpiffeId> Identity(std::string_view trust_domain, std::string_view name_space,
                                         std::string_view service_account);

 private:
  struct IdentityView {
    explicit IdentityView(const tls::SpiffeId& id)
        : IdentityView(id.trust_domain(), id.name_space(), id.service_account()) {}
    IdentityView(std::string_view trust_domain, std::string_view name_space,
                 std::string_view service_account)
        : trust_domain(trust_domain), name_space(name_space), service_account(service_account) {}
    bool operator==(const IdentityView&) const = default;
    template <typename H>
    friend H AbslHashValue(H state, const IdentityView& id) {
      return H::combine(std::move(state), id.name_space, id.service_account);
    }

    std::string_view trust_domain;  // Of a mesh there is one as a rule.
    std::string_view name_space;
    std::string_view service_account;
  };

  SharedPool<SharedString, std::string_view> texts_;
  SharedPool<tls::SpiffeId, IdentityView> identities_;
  std::array<SharedString, static_cast<size_t>(TextKind::kCount)> last_texts_;
  std::optional<tls::SpiffeId> last_identity_;
};

}  // namespace heddle::agent
