#include "agent/proxy/inbound_plaintext.h"

#include "agent/proxy/inbound_policy.h"
#include "agent/proxy/served_connection.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Application = TunnelResult<std::unique_ptr<io::Connection>>;

FRAME_OF_ITS_OWN Task<Application> DialWhenAllowed(ServedConnection& in) {
  const auto failed = co_await AwaitWorkload(in.worker, in.pod, in.stop());
  if (failed) co_return std::unexpected(TunnelFailure{{*failed}, {}});
  // Not before: while it waits for its workload, no state without it may judge the connection. And
  // not later: a change of policy during the dial must find the facts in the table.
  DescribeInbound(in);
  in.record.Open();
  CO_TRY_VOID(Authorize(in));
  co_return co_await DialLocal(in, in.stop());
}

// Everything that may fail: false when it did and all is said.
FRAME_OF_ITS_OWN Task<bool> Establish(ServedConnection& in,
                                      std::unique_ptr<io::AcceptedConnection> accepted) {
  const io::SocketAddress local = accepted->local();
  in.record.destination.address = local;
  if (IsMeshPort(local.port)) {
    in.record.Fail({FailureReason::kMeshPort});
    co_return false;
  }
  in.original_destination = in.actual_destination = local;
  auto client = accepted->Attach(in.worker.loop());
  client->ResetUnlessEnded();
  in.client = std::move(client);
  auto application = co_await DialWhenAllowed(in);
  if (!application) {
    in.client->Reset();
    in.RecordFailure(std::move(application.error()));
    co_return false;
  }
  in.server = *std::move(application);
  co_return true;
}

}  // namespace

Task<void> ServeInboundPlaintext(Worker& worker, PodContext& pod, Incoming incoming) {
  auto in = std::make_unique<ServedConnection>(worker, pod, pod.connections,
                                               ConnectionKind::kInboundPlaintext,
                                               incoming.accepted->peer(), std::move(incoming.place));
  const bool established = co_await Establish(*in, std::move(incoming.accepted));
  if (established) ServedConnection::Carry(std::move(in));
}

}  // namespace heddle::agent
