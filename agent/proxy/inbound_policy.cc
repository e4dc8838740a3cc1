#include "agent/proxy/inbound_policy.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/proxy/worker.h"
#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

const ServiceMembership* FindMembership(const Workload& workload, const ServiceName& service) {
  const auto it =
      std::find_if(workload.services.begin(), workload.services.end(),
                   [&service](const ServiceMembership& m) { return m.service == service; });
  return it == workload.services.end() ? nullptr : &*it;
}

// 0 when there is no such port.
uint16_t TargetPort(const ServiceMembership& membership, const Service& service, uint16_t port) {
  for (const PortMapping& mapping : membership.ports) {
    if (mapping.service_port == port && mapping.target_port != 0) return mapping.target_port;
  }
  const PortMapping* mapping = service.FindPort(port);
  return mapping == nullptr ? 0 : mapping->target_port;
}

// A claim counts only when the workload really backs that service.
ServiceRef ClaimedService(const State& state, const Workload& workload, const std::string& host) {
  if (host.empty()) return nullptr;
  ServiceRef service = state.FindServiceByHostname(host, workload.name_space);
  return service && FindMembership(workload, service->id) ? service : nullptr;
}

Result<InboundTarget, FailureReason> TargetOfName(const State& state, const Workload& workload,
                                                  const HostAndPort& name,
                                                  const io::IpAddress& local) {
  ServiceRef service = state.FindServiceByHostname(name.host, workload.name_space);
  const ServiceMembership* membership = service ? FindMembership(workload, service->id) : nullptr;
  const uint16_t port = membership ? TargetPort(*membership, *service, name.port) : 0;
  if (port == 0) return std::unexpected(FailureReason::kUnknownService);
  return InboundTarget{{local, port}, std::move(service)};
}

}  // namespace

Result<InboundTarget, FailureReason> FindInboundTarget(const State& state, const Workload& workload,
                                                       const CapturedPod& pod,
                                                       const ConnectRequest& request,
                                                       const io::IpAddress& local) {
  InboundTarget target;
  if (const auto* address = std::get_if<io::SocketAddress>(&request.authority)) {
    const bool own =
        std::find(pod.addresses.begin(), pod.addresses.end(), address->ip) != pod.addresses.end();
    if (!own) return std::unexpected(FailureReason::kWrongAuthority);
    target = {*address, ClaimedService(state, workload, request.claims.service_host)};
  } else {
    TRY(target, TargetOfName(state, workload, std::get<HostAndPort>(request.authority), local));
  }
  if (IsMeshPort(target.application.port)) return std::unexpected(FailureReason::kMeshPort);
  return target;
}

Task<std::optional<FailureReason>> AwaitWorkload(Worker& worker, PodContext& pod, StopToken stop) {
  const auto known = [&worker, &pod] { return worker.FindWorkload(pod) != nullptr; };
  co_return co_await worker.AwaitState(known, FailureReason::kStateTimeout, stop);
}

TunnelResult<void> Authorize(ServedConnection& connection) {
  const State* state = connection.worker.state();
  const WorkloadRef workload = connection.worker.FindWorkload(connection.pod);
  const Verdict verdict =
      state == nullptr ? Verdict() : Decide(*state, workload.get(), *connection.facts());
  if (verdict.allowed) return {};
  std::string detail(ToString(verdict.reason));
  if (!verdict.policy.empty()) absl::StrAppend(&detail, " ", ToAbsl(verdict.policy));
  return std::unexpected(
      TunnelFailure{{FailureReason::kPolicyDenied, FailureSide::kDownstream}, std::move(detail)});
}

void DescribeInbound(ServedConnection& connection) {
  ConnectionRecord& record = connection.record;
  record.destination.workload = connection.worker.FindWorkload(connection.pod);
  const Workload* own = record.destination.workload.get();
  if (own == nullptr) return;
  WorkloadRef source =
      connection.worker.state()->FindWorkload(own->network, record.source.address->ip);
  // With TLS, the certificate says who it is; a record of another identity at that address is stale
  // or a gateway's.
  const tls::SpiffeId* identity = record.source.identity;
  if (source && identity != nullptr && source->identity != *identity) source = nullptr;
  if (source) record.source.workload = std::move(source);
}

Task<TunnelResult<std::unique_ptr<io::Connection>>> DialLocal(ServedConnection& connection,
                                                              StopToken stop) {
  const ConnectionFacts facts = *connection.facts();
  const io::SocketAddress to{facts.destination, facts.destination_port};
  io::Loop& loop = connection.worker.loop();
  Deadline dial(loop, stop, connection.worker.limits().connect_timeout);
  auto application =
      co_await connection.pod.network->DialApplication(loop, to, facts.source, dial.token());
  if (connection.stop().requested()) {
    if (application) (*application)->Reset();
    co_return std::unexpected(TunnelFailure{{connection.stop_reason()}, {}});
  }
  if (!application) co_return std::unexpected(DialFailure(application.error(), to));
  (*application)->ResetUnlessEnded();
  co_return *std::move(application);
}

}  // namespace heddle::agent
