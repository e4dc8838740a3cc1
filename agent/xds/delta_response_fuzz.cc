#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/xds/delta_session.h"
#include "agent/xds/state_store.h"
#include "lib/base/check.h"

// Bytes are delta responses as a control plane might send them, each behind two bytes of length. Whatever they are:
// the session answers each, and what it holds can be stored, read back and restored to a state of the same size.

namespace heddle::agent {
namespace {

void Run(std::string_view bytes) {
  const std::vector<ResourceKind> kinds(std::begin(kAllResourceKinds), std::end(kAllResourceKinds));
  StateBuilder builder;
  DeltaSession session(builder, {.id = "node"}, kinds);
  StateRef state = builder.Publish();
  while (bytes.size() >= 2) {
    const size_t size = static_cast<uint8_t>(bytes[0]) * 256u + static_cast<uint8_t>(bytes[1]);
    DeltaSession::Response response;
    const bool parsed = response.ParseFromString(std::string(bytes.substr(2, size)));
    bytes.remove_prefix(std::min(bytes.size(), 2 + size));
    if (!parsed) continue;
    const auto outcome = session.Handle(response);
    CHECK(outcome.reply.response_nonce() == response.nonce());
    CHECK(outcome.reply.has_error_detail() == !outcome.refused.empty());
    if (outcome.state != nullptr) state = outcome.state;
  }
  CHECK(session.Open().size() == kinds.size());

  const auto file = EncodeState(session.held());
  CHECK(file.ok());
  const auto stored = ViewState(*file);
  CHECK(stored.ok());
  StateBuilder restored_builder;
  DeltaSession restored(restored_builder, {.id = "node"}, kinds);
  const StateRef again = restored.Restore(*stored);
  restored.HoldRestored(*stored);
  CHECK(again->workloads().size() == state->workloads().size());
  CHECK(again->services().size() == state->services().size());
  CHECK(again->policies().size() == state->policies().size());
  CHECK(again->node_pods().size() == state->node_pods().size());
  CHECK(again->ready() == state->ready());
  CHECK(EncodeState(restored.held())->size() == file->size());
}

}  // namespace
}  // namespace heddle::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  heddle::agent::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
