// The CNI socket's messages and the enrolment file. What decodes must encode to something that decodes to the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/cni/enrollment.h"
#include "lib/cni/protocol.h"

namespace heddle::cni {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = DecodeRequest(text)) {
    // Escapes can make the encoding longer than the message was.
    if (const auto again = EncodeRequest(*request)) Require(DecodeRequest(*again) == *request);
  }
  if (const auto reply = DecodeReply(text)) {
    const auto again = DecodeReply(EncodeReply(*reply));
    Require(again && again->code == reply->code);
  }
  if (const auto enrollment = DecodeEnrollment(text)) {
    Require(DecodeEnrollment(EncodeEnrollment(*enrollment)) == *enrollment);
    (void)MayStartWithoutAgent(&*enrollment, "shop");
  }
  return 0;
}

}  // namespace heddle::cni
