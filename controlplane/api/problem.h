#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/api/object.h"

namespace heddle::controlplane::api {

// Something in a source that is not in effect as it was written.
struct Problem {
  // What is in effect instead.
  enum class Effect : uint8_t {
    kNothing,       // The object, or the file's change, has no effect.
    kLastGoodKept,  // The version before it.
    kDenyAll,       // A refused AuthorizationPolicy that was never good: everything it selects is
                    // denied.
    kExcludesNothing,  // A refused InterceptionPolicy that was never good: what it selects is
                       // captured whole, and fails closed.
    kNothingServed,  // No object at all: what is there cannot be read, and half of it would lie.
    kStrict,  // A refused PeerAuthentication that was never good: what it selects takes mutual TLS
              // only.
  };

  std::string file;                 // Empty: from an API server.
  int line = 0;                     // 0: the file as a whole.
  std::optional<ObjectKey> object;  // Empty: not known, see `kind`, or the file as a whole.
  std::string kind;
  std::string reason;
  Effect effect = Effect::kNothing;

  bool operator==(const Problem&) const = default;
  // "policies.yaml:12: AuthorizationPolicy default/a: unknown field ...; everything it selects is
  // denied".
  std::string ToString() const;
};

std::string_view Describe(Problem::Effect effect);

// What became of an object that is in effect.
struct ObjectStatus {
  ObjectKey object;
  bool effective = true;
  std::string
      note;  // Why it is not, or what differs from what it seems to say. Empty: nothing to say.
  bool operator==(const ObjectStatus&) const = default;
};

}  // namespace heddle::controlplane::api
