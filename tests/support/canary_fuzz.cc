// Must fail: if the fuzzing or replaying of this target ever passes, the machinery around fuzz targets is broken.

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with("bird")) std::abort();
  return 0;
}
