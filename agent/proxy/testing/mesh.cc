#include "agent/proxy/testing/mesh.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace heddle::agent::testing {

void KeptLog::Write(const ConnectionRecord& record) {
  connections.push_back({
      .direction = record.direction,
      .source = record.source.address ? record.source.address->ToString() : "",
      .source_identity = record.source.identity ? record.source.identity->ToString() : "",
      .destination = record.destination.address ? record.destination.address->ToString() : "",
      .service = record.service ? record.service->hostname : "",
      .flags = std::string(record.response_flags()),
      .error = record.error(),
      .reason = record.failure() ? std::optional(record.failure()->reason) : std::nullopt,
      .bytes_from_client = record.bytes.from_client,
      .bytes_from_server = record.bytes.from_server,
  });
}

Mesh::Mesh(const MeshOptions& options)
    : simulation_(options.seed),
      network_(simulation_, options.faults),
      loop_(simulation_.AddLoop()),
      authority_(simulation_.clock()) {
  for (size_t n = 0; n < options.nodes; ++n) {
    auto node = std::make_unique<Node>(simulation_.AddLoop());
    std::vector<WorkerPlace> places;
    for (size_t w = 0; w < options.workers_per_node; ++w) {
      io::Loop& loop = simulation_.AddLoop();
      node->workers.push_back(&loop);
      places.push_back({loop, std::make_unique<SeededRandom>(options.seed * 1000 + n * 100 + w)});
    }
    const ProxyOptions proxy_options{options.limits, node->registry, node->log};
    node->proxy = std::make_unique<Proxy>(node->control, std::move(places), proxy_options);
    nodes_.push_back(std::move(node));
  }
  world_.Ready();
}

Mesh::~Mesh() = default;

Mesh::Pod& Mesh::AddPod(WorkloadOptions workload, Node* node) {
  const auto ip = io::IpAddress::V4(10, 0, 0, static_cast<uint8_t>(pods_.size() + 1));
  workload.ips = {ip.ToString()};
  workload.hbone = node != nullptr;
  auto pod = std::make_unique<Pod>();
  pod->workload = workload;
  pod->node = node;
  pod->address = {ip, kApplicationPort};
  if (node != nullptr) {
    CapturedPod captured{.uid = absl::StrCat("uid-", workload.name),
                         .namespace_name = workload.name_space,
                         .name = workload.name,
                         .service_account = workload.service_account,
                         .trust_domain = "cluster.local",
                         .workload_uid = workload.uid(),
                         .addresses = {ip}};
    pod->network = std::make_shared<FakePodNetwork>(network_, std::move(captured));
    pod->host = &pod->network->outside();
  } else {
    pod->host = &network_.AddHost(workload.name, {ip});
  }
  pods_.push_back(std::move(pod));
  return *pods_.back();
}

Mesh::Pod& Mesh::AddPod(const std::string& name, size_t node, const std::string& service_account) {
  return AddPod(WorkloadOptions{.name = name, .service_account = service_account},
                nodes_[node].get());
}

Mesh::Pod& Mesh::AddOutsider(const std::string& name) {
  return AddPod(WorkloadOptions{.name = name}, nullptr);
}

tls::SpiffeId Mesh::IdentityOf(const Pod& pod) const {
  return tls::MakeId(pod.workload.name_space, pod.workload.service_account);
}

void Mesh::IssueCertificate(const tls::SpiffeId& identity) {
  const tls::Validity validity = authority_.usual_validity();
  certificates_[identity] = {IdentityCertificate{authority_.Context(authority_.Issue(identity)),
                                                 validity.not_before, validity.not_after},
                             ""};
}

std::shared_ptr<const tls::TlsContext> Mesh::ContextOf(const Pod& pod) const {
  return certificates_.at(IdentityOf(pod)).certificate->context;
}

void Mesh::Publish() {
  const Snapshot snapshot{world_.Build(), std::make_shared<Certificates>(certificates_)};
  for (auto& node : nodes_) node->proxy->Apply(snapshot);
}

Task<void> Mesh::Start() {
  for (auto& node : nodes_) {
    auto start = [proxy = node->proxy.get()] { return proxy->Start(); };
    co_await io::RunOn(loop_, node->control, std::move(start));
  }
  for (auto& pod : pods_) {
    world_.Add(pod->workload);
    if (pod->node == nullptr) continue;
    if (!certificates_.contains(IdentityOf(*pod))) IssueCertificate(*pod);
    co_await Capture(*pod);
  }
  Publish();
}

Task<void> Mesh::Capture(Pod& pod) {
  auto capture = [&pod] {
    return pod.node->proxy->PodCaptured(pod.network, pod.network->Listeners(kApplicationPort));
  };
  co_await io::RunOn(loop_, pod.node->control, std::move(capture));
}

Task<void> Mesh::Release(Pod& pod) {
  auto release = [&pod] { return pod.node->proxy->PodReleased(pod.network->pod().uid); };
  co_await io::RunOn(loop_, pod.node->control, std::move(release));
}

Task<void> Mesh::Stop() {
  for (auto& node : nodes_) {
    auto stop = [proxy = node->proxy.get()] { return proxy->Stop(); };
    co_await io::RunOn(loop_, node->control, std::move(stop));
  }
}

Task<io::Result<std::unique_ptr<io::Connection>>> Mesh::Connect(Pod& pod, io::SocketAddress to) {
  if (pod.network) co_return co_await pod.network->Connect(loop_, to, {});
  io::ConnectOptions options{.to = to, .bind = std::nullopt, .socket = {}};
  co_return co_await pod.host->Connect(loop_, std::move(options), {});
}

std::unique_ptr<io::Listener> Mesh::Listen(Pod& pod) {
  auto listener = pod.network ? pod.network->Listen(loop_, kApplicationPort)
                              : pod.host->Listen(loop_, pod.address);
  CHECK(listener.has_value());
  return *std::move(listener);
}

std::span<const uint8_t> ToBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string ToText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Task<std::string> ReadAtLeast(io::Stream& stream, size_t size) {
  std::string got;
  while (got.size() < size) {
    auto block = co_await stream.Read(io::BufferPool::kSmall, {});
    if (!block || block->empty()) break;
    got += ToText(block->bytes());
  }
  co_return got;
}

Task<StreamEnd> ReadEnd(io::Stream& stream) {
  auto block = co_await stream.Read(io::BufferPool::kSmall, {});
  if (!block) co_return StreamEnd::kReset;
  co_return block->empty() ? StreamEnd::kOrderly : StreamEnd::kMoreBytes;
}

}  // namespace heddle::agent::testing
