// What a file of a source directory can hold: parsed, and every object in it decoded.

#include <cstddef>
#include <cstdint>

#include "controlplane/api/decode.h"
#include "controlplane/api/yaml.h"
#include "lib/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace api = heddle::controlplane::api;
  std::vector<api::Tree> documents;
  const api::YamlError error =
      api::ParseYaml({reinterpret_cast<const char*>(data), size}, documents);
  CHECK(error.ok() || documents.empty());
  for (const api::Tree& document : documents) {
    for (const api::Decoded& decoded : api::DecodeDocument(document, "fuzz.yaml")) {
      CHECK(decoded.object.has_value() != !decoded.reason.empty());
      if (decoded.object.has_value()) CHECK(KeyOf(*decoded.object) == decoded.key);
      if (decoded.stand_in.has_value()) CHECK(KeyOf(*decoded.stand_in) == decoded.key);
    }
  }
  return 0;
}
