#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/model/testing/same_view.h"
#include "lib/base/check.h"

// Bytes are an istio.workload.Address. Whatever they are: what is read of them without protobuf is what protobuf reads.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint64_t plain = 0;
  CHECK(heddle::agent::testing::SeesWhatProtobufSees({reinterpret_cast<const char*>(data), size}, plain));
  return 0;
}
