#include "controlplane/removal_service.h"

#include <optional>
#include <utility>

#include "controlplane/authentication.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"

namespace heddle::controlplane {

// One stream: its coroutine receives, another sends.
struct RemovalService::Session {
  Session(Mesh& mesh, std::string node_in, grpc::ServerCall& call_in)
      : node(std::move(node_in)), call(call_in), work(mesh) {}

  const std::string node;
  grpc::ServerCall& call;
  Mesh::Watcher work;
  bool ended = false;
};

// "Be in the mesh" is for when nobody asks it to leave: between the two there is nothing to say, and an
// agent that has let go would take it for "come back".
std::optional<node::v1::RemovalOrder> RemovalService::Order() const {
  const RemovalProgress& removal = mesh_.removal();
  if (removal.requested() && !removal.release()) return std::nullopt;
  node::v1::RemovalOrder order;
  order.set_leave(removal.release());
  if (order.leave())
    order.set_drain_seconds(static_cast<uint32_t>(absl::ToInt64Seconds(removal.drain())));
  return order;
}

bool RemovalService::IsNewest(const Session& session) const {
  const auto found = newest_.find(session.node);
  return found != newest_.end() && found->second == &session;
}

Task<absl::Status> RemovalService::Serve(grpc::ServerCall& call, const std::string& node) {
  Session session(mesh_, node, call);
  newest_[node] = &session;
  Scope sender(loop_);
  sender.Spawn(Send(session));
  const absl::Status ended = co_await Receive(session);
  session.ended = true;
  session.work.changed.Set();
  co_await sender.Join();
  if (IsNewest(session)) {
    newest_.erase(node);
    mesh_.NodeReported(node, nullptr);
  }
  LOG_INFO("removal.stream.ended", KV("node", node), KV("reason", ended));
  co_return ended;
}

Task<absl::Status> RemovalService::Receive(Session& session) {
  while (true) {
    const auto message = co_await session.call.Receive();
    if (!message.ok()) co_return message.status();
    if (!message->has_value()) co_return absl::OkStatus();
    CO_TRY_ASSIGN(const auto report, grpc::Parse<node::v1::RemovalReport>(**message));
    CO_TRY_STATUS(CheckClaimedNode(session.node, report.node()));
    if (!IsNewest(session)) co_return absl::AbortedError("the node has opened a newer stream");
    const NodeRemovalReport said{.gone = report.gone(), .note = report.note()};
    mesh_.NodeReported(session.node, &said);
  }
}

Task<void> RemovalService::Send(Session& session) {
  std::optional<std::string> told;
  while (!session.ended) {
    session.work.changed.Reset();
    const std::optional<node::v1::RemovalOrder> order = Order();
    std::string bytes = order.has_value() ? order->SerializeAsString() : "";
    if (order.has_value() && told != bytes) {
      const absl::Status sent = co_await session.call.Send(bytes);
      // Receive() learns it as well, and says why.
      if (!sent.ok()) co_return;
      told = std::move(bytes);
    }
    if (session.ended || !co_await session.work.changed.Wait(session.call.stop())) co_return;
  }
}

}  // namespace heddle::controlplane
