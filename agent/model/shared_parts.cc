#include "agent/model/shared_parts.h"

#include <utility>

#include "agent/model/decode_values.h"
#include "lib/base/status.h"

namespace heddle::agent {

SharedString SharedParts::Text(TextKind kind, std::string_view text) {
  if (text.empty()) return {};
  SharedString& last = last_texts_[static_cast<size_t>(kind)];
  if (last == text) return last;
  const SharedString* const known = texts_.Find(text);
  last = known != nullptr ? *known : texts_.Add(SharedString(text));
  return last;
}

absl::StatusOr<tls::SpiffeId> SharedParts::Identity(std::string_view trust_domain,
                                                    std::string_view name_space,
                                                    std::string_view service_account) {
  if (trust_domain.empty()) trust_domain = kDefaultTrustDomain;
  if (service_account.empty()) service_account = kDefaultServiceAccount;
  const IdentityView view(trust_domain, name_space, service_account);
  if (last_identity_.has_value() && IdentityView(*last_identity_) == view) return *last_identity_;
  if (const tls::SpiffeId* known = identities_.Find(view); known != nullptr) {
    last_identity_ = *known;
  } else {
    TRY_ASSIGN(tls::SpiffeId identity, MakeIdentity(trust_domain, name_space, service_account));
    last_identity_ = identities_.Add(std::move(identity));
  }
  return *last_identity_;
}

}  // namespace heddle::agent
