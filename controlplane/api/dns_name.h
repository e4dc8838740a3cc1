#pragma once

#include <string_view>

// Names become parts of resource names, of SPIFFE IDs and of file names, so they are what
// Kubernetes lets them be: RFC 1123 names in lower case.
namespace heddle::controlplane::api {

// [a-z0-9-], at most 63 bytes, no '-' at either end: a namespace.
bool IsDnsLabel(std::string_view text);
// Labels joined by '.', at most 253 bytes: most other names.
bool IsDnsSubdomain(std::string_view text);

}  // namespace heddle::controlplane::api
