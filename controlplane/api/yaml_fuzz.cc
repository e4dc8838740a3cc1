// What a file of a source directory can hold: parsed, and every object in it decoded.

#include <cstddef>
#include <cstdint>

#include "controlplane/api/decode.h"
#include "controlplane/api/salvage.h"
#include "controlplane/api/yaml.h"
#include "lib/base/check.h"

namespace api = heddle::controlplane::api;

namespace {

void Check(const std::vector<api::Decoded>& all) {
  for (const api::Decoded& decoded : all) {
    CHECK(decoded.object.has_value() != !decoded.reason.empty());
    if (decoded.object.has_value()) CHECK(KeyOf(*decoded.object) == decoded.key);
    if (decoded.stand_in.has_value()) CHECK(KeyOf(*decoded.stand_in) == decoded.key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<api::Tree> documents;
  const api::YamlError error = api::ParseYaml(text, documents);
  CHECK(error.ok() || documents.empty());
  if (!error.ok()) Check(api::SalvageDocuments(text, "fuzz.yaml"));
  for (const api::Tree& document : documents) Check(api::DecodeDocument(document, "fuzz.yaml"));
  return 0;
}
