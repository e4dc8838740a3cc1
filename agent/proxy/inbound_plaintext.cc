#include "agent/proxy/inbound_plaintext.h"

#include "agent/proxy/inbound_policy.h"
#include "agent/proxy/serve.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Application = TunnelResult<std::unique_ptr<io::Connection>>;

struct Inbound {
  Worker& worker;
  PodContext& pod;
  Served served;
  std::unique_ptr<io::Connection> client;
  std::unique_ptr<io::Connection> application;
};

FRAME_OF_ITS_OWN Task<Application> DialWhenAllowed(Inbound& in) {
  TrackedConnection& connection = in.served.connection;
  const auto failed = co_await AwaitWorkload(in.worker, in.pod, connection.stop());
  if (failed) co_return std::unexpected(TunnelFailure{{*failed}, {}});
  // Not before: while it waits for its workload, no state without it may judge the connection. And
  // not later: a change of policy during the dial must find the facts in the table.
  connection.SetIdentity(nullptr);
  DescribeInbound(in.worker, in.pod, *connection.facts(), in.served.record);
  in.served.record.Open();
  CO_TRY_VOID(Authorize(in.worker, in.pod, *connection.facts()));
  co_return co_await DialLocal(in.worker, in.pod, connection, connection.stop());
}

// Everything that may fail: false when it did and all is said.
FRAME_OF_ITS_OWN Task<bool> Establish(Inbound& in,
                                      std::unique_ptr<io::AcceptedConnection> accepted) {
  const io::SocketAddress local = accepted->local();
  in.served.record.destination.address = local;
  if (IsMeshPort(local.port)) {
    in.served.record.Fail({FailureReason::kMeshPort});
    co_return false;
  }
  in.served.connection.original_destination = in.served.connection.actual_destination = local;
  in.client = accepted->Attach(in.worker.loop());
  in.client->ResetUnlessEnded();
  auto application = co_await DialWhenAllowed(in);
  if (!application) {
    in.client->Reset();
    in.served.RecordFailure(std::move(application.error()));
    co_return false;
  }
  in.application = *std::move(application);
  co_return true;
}

}  // namespace

Task<void> ServeInboundPlaintext(Worker& worker, PodContext& pod, Incoming incoming) {
  Inbound in{.worker = worker,
             .pod = pod,
             .served = Served(worker, pod, ConnectionKind::kInboundPlaintext,
                              incoming.accepted->peer()),
             .client = nullptr,
             .application = nullptr};
  const bool established = co_await Establish(in, std::move(incoming.accepted));
  if (!established) co_return;
  Served& served = in.served;
  served.RecordEnd(co_await Relay(worker.loop(), *in.client, *in.application, served.record.bytes,
                                  served.connection.stop()));
}

}  // namespace heddle::agent
