// Objects as the API server sends them, whose status anybody with a right to it may have written.

#include <cstddef>
#include <cstdint>

#include "controlplane/status/condition.h"
#include "lib/base/check.h"

namespace status = heddle::controlplane::status;
namespace kube = heddle::kube;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto present =
      status::ReadPresentStatus({.name = {}, .resource_version = {}, .json = text}, "/apis");
  if (!present) return 0;
  for (const status::Condition& condition : present->conditions) {
    CHECK(condition.type == status::kAccepted || condition.type == status::kBound ||
          condition.type == status::kCaptured);
  }
  // What holds as before keeps its time, and then says the same.
  const auto kept =
      status::WithTransitions(present->conditions, present->conditions, absl::UnixEpoch());
  CHECK(kept.size() == present->conditions.size());
  for (const status::Condition& condition : kept) CHECK(!condition.last_transition.empty());
  (void)status::SaySame(kept, present->conditions);
  return 0;
}
