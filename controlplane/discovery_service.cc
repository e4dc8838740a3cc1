#include "controlplane/discovery_service.h"

#include <utility>

#include "controlplane/authentication.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"

namespace heddle::controlplane {
namespace {

// What an agent of a large mesh is sent that holds nothing.
constexpr size_t kLargeBytes = 1024 * 1024;
// When all agents begin at once, the first of them have everything early instead of all of them late.
constexpr size_t kLargeUnderWayMax = 8;
// An agent that takes its time holds up nobody for longer.
constexpr absl::Duration kTurnWaitMax = absl::Seconds(5);

using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;

constexpr size_t kMaxVersionBytes = 64;  // It is for people.

// What the subscriber says of itself; empty if it does not. NODE_NAME: the node that it is on.
std::string Metadata(const Request& request, const char* key) {
  const auto& fields = request.node().metadata().fields();
  const auto found = fields.find(key);
  return found == fields.end() ? std::string() : found->second.string_value();
}

}  // namespace

// One stream: its coroutine receives, another sends.
struct DiscoveryService::Session {
  Session(Mesh& mesh, std::string node, grpc::ServerCall& call_in)
      : subscriber(std::move(node), mesh.published()), call(call_in), work(mesh) {}

  xds::DeltaSubscriber subscriber;
  grpc::ServerCall& call;
  Mesh::Watcher work;  // The mesh has changed, or the subscriber has said something.
  bool ended = false;
};

DiscoveryService::DiscoveryService(io::Loop& loop, Mesh& mesh, metrics::Registry& registry)
    : loop_(loop),
      mesh_(mesh),
      large_ended_(loop),
      streams_(registry, {.name = "heddle_controller_xds_streams", .help = "Open xDS streams."}),
      responses_(registry,
                 {.name = "heddle_controller_xds_responses", .help = "xDS responses sent."}),
      resources_(registry, {.name = "heddle_controller_xds_resources",
                            .help = "Resources sent or removed in xDS responses."}),
      refusals_(registry, {.name = "heddle_controller_xds_refusals",
                           .help = "xDS responses that a node refused in part or whole (NACK)."}) {}

void DiscoveryService::Enter(const std::string& node) {
  ++connected_[node].streams;
  streams_.Add(1);
  LOG_INFO("xds.connected", KV("node", node));
}

void DiscoveryService::Leave(const std::string& node) {
  const auto found = connected_.find(node);
  if (--found->second.streams == 0) connected_.erase(found);
  streams_.Add(-1);
}

Task<absl::Status> DiscoveryService::Serve(grpc::ServerCall& call, const std::string& node) {
  Session session(mesh_, node, call);
  Enter(node);
  Scope sender(loop_);
  sender.Spawn(Send(session));
  const absl::Status ended = co_await Receive(session);
  session.ended = true;
  session.work.changed.Set();
  co_await sender.Join();
  Leave(node);
  LOG_INFO("xds.disconnected", KV("node", node), KV("reason", ended));
  co_return ended;
}

Task<absl::Status> DiscoveryService::Receive(Session& session) {
  while (true) {
    const auto message = co_await session.call.Receive();
    if (!message.ok()) co_return message.status();
    if (!message->has_value()) co_return absl::OkStatus();
    CO_TRY_ASSIGN(const Request request, grpc::Parse<Request>(**message));
    CO_TRY_STATUS(CheckClaimedNode(session.subscriber.node(), Metadata(request, "NODE_NAME")));
    if (const std::string version = Metadata(request, "HEDDLE_VERSION"); !version.empty())
      connected_[session.subscriber.node()].agent_version = version.substr(0, kMaxVersionBytes);
    const uint64_t refused_before = session.subscriber.counts().refused;
    CO_TRY_STATUS(session.subscriber.OnRequest(request));
    if (session.subscriber.counts().refused != refused_before) {
      refusals_.Add();
      LOG_WARN("xds.refused", KV("node", session.subscriber.node()), KV("type", request.type_url()),
               KV("reason", session.subscriber.last_refusal()));
    }
    session.work.changed.Set();
  }
}

Task<absl::Status> DiscoveryService::SendInTurn(grpc::ServerCall& call,
                                                xds::DeltaResponse& response) {
  if (response.size() < kLargeBytes) co_return co_await call.Send(response);
  Deadline patience(loop_, call.stop(), kTurnWaitMax);
  while (large_under_way_ >= kLargeUnderWayMax) {
    if (!co_await large_ended_.Wait(patience.token())) break;
  }
  ++large_under_way_;
  absl::Status sent = co_await call.Send(response);
  --large_under_way_;
  large_ended_.NotifyOne();
  co_return sent;
}

Task<void> DiscoveryService::Send(Session& session) {
  while (!session.ended) {
    session.work.changed.Reset();
    while (auto response = session.subscriber.Next()) {
      const absl::Status sent = co_await SendInTurn(session.call, *response);
      // Receive() learns it as well, and says why.
      if (!sent.ok()) co_return;
      responses_.Add();
      resources_.Add(response->changed() + response->removed());
    }
    if (session.subscriber.HoldsEverything()) mesh_.NodeInSync(session.subscriber.node());
    if (!co_await session.work.changed.Wait(session.call.stop())) co_return;
  }
}

}  // namespace heddle::controlplane
