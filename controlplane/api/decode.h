#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/object.h"
#include "controlplane/api/tree.h"

namespace heddle::controlplane::api {

// Most entries of all rules of one policy, and most endpoints of one slice or addresses of one
// object: more than an API server takes, few enough that one object cannot fill a node.
inline constexpr size_t kMaxPolicyEntries = 10'000;
inline constexpr size_t kMaxPolicyRules = 512;
inline constexpr size_t kMaxExclusions = 1024;  // Of each list; a node takes no more.
inline constexpr size_t kMaxAddressesPerObject = 16;
inline constexpr size_t kMaxEndpointsPerSlice = 1000;

// What became of one object of a document. Exactly one of `object` and `reason` is set.
struct Decoded {
  // Of the object. A refused one whose name cannot be read has none, unless it is a policy that
  // something stands in for.
  std::optional<ObjectKey> key;
  std::string kind;  // As written.
  int line = 0;      // Where the object begins; for a refused one, where the reason stands.
  std::optional<Object> object;
  std::string reason;
  // Of a refused policy: what is in effect unless an earlier version was good. A refused
  // AuthorizationPolicy denies everything to what it selects (to its namespace if the selector
  // cannot be read), a refused PeerAuthentication is STRICT, a refused InterceptionPolicy excludes
  // nothing. A refused dry-run policy stays a dry run.
  std::optional<Object> stand_in;
};

// Decodes one document: an object, or a List as kubectl prints it. Kinds that the mesh does not
// read are left out, except those of API groups whose objects steer or guard traffic: silence about
// them would pass for consent, so they are refused.
//
// Policy kinds are strict (Strictness::kStrict) and fully checked: what is returned can be
// enforced. In the others unknown fields are ignored. `origin` (a file's name) names policies that
// have no readable name of their own.
std::vector<Decoded> DecodeDocument(const Tree& document, std::string_view origin);

// Decodes one object whose kind is known from where it was read, as an API server lists it: its own
// apiVersion and kind may be missing, and are not looked at.
Decoded DecodeObject(Kind kind, const Tree& object);

// What becomes of an object of which nothing can be read but what it is called.
Decoded RefuseObject(const ObjectKey& key, std::string reason);

// The name of a policy in `origin` that has none of its own. No two places give the same one.
std::string UnnamedName(std::string_view origin, int line);

}  // namespace heddle::controlplane::api
