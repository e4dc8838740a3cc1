#include "agent/proxy/inbound_plaintext.h"

#include "agent/proxy/inbound_policy.h"
#include "agent/proxy/serve.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Application = TunnelResult<std::unique_ptr<io::Connection>>;

FRAME_OF_ITS_OWN Task<Application> Establish(Worker& worker, PodContext& pod, TrackedConnection& connection,
                            ConnectionRecord& record) {
  const auto failed = co_await AwaitWorkload(worker, pod, connection.stop());
  if (failed) co_return std::unexpected(TunnelFailure{{*failed}, {}});
  // Not before: while it waits for its workload, no state without it may judge the connection. And
  // not later: a change of policy during the dial must find the facts in the table.
  const io::SocketAddress local = *record.destination.address;
  connection.facts = ConnectionFacts{.source = connection.source.ip,
                                     .destination = local.ip,
                                     .destination_port = local.port};
  DescribeInbound(worker, pod, *connection.facts, record);
  record.Open();
  CO_TRY_VOID(Authorize(worker, pod, *connection.facts));
  co_return co_await DialLocal(worker, pod, connection, connection.stop());
}

}  // namespace

Task<void> ServeInboundPlaintext(Worker& worker, PodContext& pod, Incoming incoming) {
  const io::SocketAddress client = incoming.accepted->peer();
  const io::SocketAddress local = incoming.accepted->local();
  ConnectionRecord record(worker.telemetry(), Direction::kInbound, client);
  record.destination.address = local;
  if (IsMeshPort(local.port)) co_return record.Fail({FailureReason::kMeshPort});

  TrackedConnection connection(worker.connections(), ConnectionKind::kInboundPlaintext, pod);
  connection.source = client;
  connection.original_destination = connection.actual_destination = local.ToString();
  const auto stream = incoming.accepted->Attach(worker.loop());
  stream->ResetUnlessEnded();
  auto application = co_await Establish(worker, pod, connection, record);
  if (!application) {
    stream->Reset();
    co_return record.Fail(Explain(application.error().failure, connection),
                          std::move(application.error().detail));
  }
  co_await RelayAndRecord(worker.loop(), *stream, **application, connection, record);
}

}  // namespace heddle::agent
