// An object as an API server sends it: parsed, and decoded as each kind.

#include <cstddef>
#include <cstdint>

#include "controlplane/api/decode.h"
#include "controlplane/api/json.h"
#include "lib/base/check.h"

namespace api = heddle::controlplane::api;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tree = api::ParseJson(text);
  if (!tree.ok()) {
    CHECK(!tree.status().message().empty());
    return 0;
  }
  for (int kind = 0; kind <= static_cast<int>(api::Kind::kRemoval); ++kind) {
    const api::Decoded decoded = api::DecodeObject(static_cast<api::Kind>(kind), *tree);
    CHECK(decoded.object.has_value() != !decoded.reason.empty());
    if (decoded.object.has_value()) CHECK(KeyOf(*decoded.object) == decoded.key);
    if (decoded.stand_in.has_value()) CHECK(KeyOf(*decoded.stand_in) == decoded.key);
  }
  return 0;
}
