#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/xds/delta_session.h"
#include "agent/xds/state_store.h"
#include "lib/base/check.h"

// Bytes are the body of a state file, behind a header that fits them. Whatever they are: they are refused, or restored
// to a session that goes on from there and can be stored again.

namespace heddle::agent {
namespace {

void Run(std::string_view body) {
  const std::string file = WithHeader(body);
  const auto stored = ViewState(file);
  if (!stored.ok()) return;
  const std::vector<ResourceKind> kinds(std::begin(kAllResourceKinds), std::end(kAllResourceKinds));
  StateBuilder builder;
  DeltaSession session(builder, {.id = "node"}, kinds);
  const StateRef state = session.Restore(*stored);
  CHECK(state->workloads().size() + state->services().size() <=
        (*stored)[static_cast<size_t>(ResourceKind::kAddress)].resources.size());
  session.HoldRestored(*stored);
  for (const ResourceKind kind : kinds) {
    DeltaSession::Response removal;
    removal.set_type_url(std::string(TypeUrl(kind)));
    for (const ResourceView& resource : (*stored)[static_cast<size_t>(kind)].resources)
      removal.add_removed_resources(std::string(resource.name));
    session.Handle(std::move(removal));
  }
  const StateRef empty = builder.Publish();
  CHECK(empty->workloads().empty() && empty->services().empty() && empty->node_pods().empty());
  const auto again = EncodeState(session.held());
  CHECK(again.ok() && ViewState(*again).ok());
}

}  // namespace
}  // namespace heddle::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  heddle::agent::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
