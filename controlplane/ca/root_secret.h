#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "controlplane/ca/root_rotation.h"

// Roots as objects of a cluster.
//
//   Secret heddle-ca (heddle.io/ca)      data: root-cert.pem, root-key.pem; while a rotation is under
//                                        way next-root-cert.pem, next-root-key.pem
//     annotations heddle.io/rotate           somebody asks for a rotation: any value
//                 heddle.io/rotation-began   RFC 3339
//                 heddle.io/rotation-step    seconds
//   ConfigMap heddle-root                data: root-cert.pem, what agents trust
namespace heddle::controlplane::ca {

inline constexpr char kSecretName[] = "heddle-ca";
inline constexpr char kRootConfigMapName[] = "heddle-root";
inline constexpr char kRootKey[] = "root-cert.pem";

// What stands in a Secret's text, JSON. An error is a sentence that quotes nothing secret.
absl::StatusOr<StoredRoots> ReadRootSecret(std::string_view json);

// A Secret to be made.
std::string NewRootSecret(const StoredRoots& stored);
// The Secret `json` with other roots in it. Everything else stays, its version too, so that it is
// written only if nobody has written it since.
absl::StatusOr<std::string> WithRoots(std::string_view json, const StoredRoots& stored);

// The ConfigMap to be applied, and what one has under kRootKey; empty when it has nothing there.
std::string RootConfigMap(const std::string& roots_pem);
std::string RootsInConfigMap(std::string_view json);
// Whether there is a certificate in it that holds still: then there are agents that trust it.
bool IsTrusted(const std::string& roots_pem, absl::Time now);

}  // namespace heddle::controlplane::ca
