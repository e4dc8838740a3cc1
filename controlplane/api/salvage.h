#pragma once

#include <string_view>
#include <vector>

#include "controlplane/api/decode.h"

namespace heddle::controlplane::api {

// Most documents of a broken text that are looked at one by one.
inline constexpr size_t kMaxSalvagedDocuments = 256;

// What can be had of a text that ParseYaml refuses, for when there is no earlier version of it: the
// documents that can be parsed by themselves, and for one that cannot, if it speaks of an
// AuthorizationPolicy or a PeerAuthentication, what stands in for a refused one, for the namespace
// that it names. Otherwise a policy would be lost because a controller started while its file, or
// another document of that file, was broken.
std::vector<Decoded> SalvageDocuments(std::string_view text, std::string_view origin);

}  // namespace heddle::controlplane::api
