#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "controlplane/api/objects.h"
#include "controlplane/api/policies.h"

namespace heddle::controlplane::api {

// In the order of Object's alternatives.
enum class Kind : uint8_t {
  kNamespace,
  kNode,
  kServiceAccount,
  kPod,
  kService,
  kEndpointSlice,
  kPeerAuthentication,
  kAuthorizationPolicy,
  kInterceptionPolicy,
  kRemoval,
};

std::string_view ToString(Kind kind);

struct ObjectKey {
  Kind kind = Kind::kNamespace;
  NamespacedName name;
  auto operator<=>(const ObjectKey&) const = default;
  // "AuthorizationPolicy default/deny-all".
  std::string ToString() const;
};

// An object of any kind, immutable and shared. Never null inside an ObjectStore.
using Object = std::variant<std::shared_ptr<const Namespace>, std::shared_ptr<const Node>,
                            std::shared_ptr<const ServiceAccount>, std::shared_ptr<const Pod>,
                            std::shared_ptr<const Service>, std::shared_ptr<const EndpointSlice>,
                            std::shared_ptr<const PeerAuthentication>,
                            std::shared_ptr<const AuthorizationPolicy>,
                            std::shared_ptr<const InterceptionPolicy>,
                            std::shared_ptr<const Removal>>;

const ObjectMeta& MetaOf(const Object& object);
ObjectKey KeyOf(const Object& object);
// Equal by value.
bool SameObject(const Object& a, const Object& b);

}  // namespace heddle::controlplane::api
