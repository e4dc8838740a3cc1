#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/model/testing/world.h"
#include "agent/proxy/proxy.h"
#include "agent/proxy/testing/fake_pod.h"
#include "lib/io/testing/fake_network.h"
#include "lib/io/testing/simulation.h"
#include "lib/tls/testing/authority.h"

namespace heddle::agent::testing {

inline constexpr uint16_t kApplicationPort = 8080;

// One finished connection, as the access log saw it.
struct LoggedConnection {
  Direction direction;
  std::string source;  // Address.
  std::string source_identity;
  std::string destination;
  std::string service;
  std::string flags;
  std::string error;
  std::optional<FailureReason> reason;
  uint64_t bytes_from_client;
  uint64_t bytes_from_server;
};

class KeptLog final : public AccessLog {
 public:
  void Write(const ConnectionRecord& record) override;
  std::vector<LoggedConnection> connections;
};

struct MeshOptions {
  uint64_t seed = 1;
  io::FakeFaults faults = {};
  ProxyLimits limits = {};
  size_t nodes = 2;
  size_t workers_per_node = 2;
};

// Nodes with the real proxy, pods, a control plane's state and a certificate authority, on a
// simulated network. The first pod's address is 10.0.0.1, the second's 10.0.0.2, and so on; each
// application listens on kApplicationPort.
class Mesh {
 public:
  struct Node {
    io::Loop& control;
    std::vector<io::Loop*> workers;
    metrics::Registry registry;
    KeptLog log;
    std::unique_ptr<Proxy> proxy;
  };
  struct Pod {
    WorkloadOptions workload;
    Node* node = nullptr;                     // nullptr: outside the mesh.
    std::shared_ptr<FakePodNetwork> network;  // nullptr: outside the mesh.
    io::FakeHost* host = nullptr;
    io::SocketAddress address;  // Of its application.
  };

  explicit Mesh(const MeshOptions& options = {});
  ~Mesh();

  // Before Start(): pods of node `node`, or outside the mesh. Name them in what they should back
  // with `services`.
  Pod& AddPod(const std::string& name, size_t node, const std::string& service_account = "web");
  Pod& AddOutsider(const std::string& name);
  World& world() { return world_; }

  // Starts proxies, captures pods, gives every identity a certificate and publishes the state.
  Task<void> Start();
  // Releases all pods and ends the proxies.
  Task<void> Stop();
  Task<void> Capture(Pod& pod);
  Task<void> Release(Pod& pod);

  // Announces what world() and the certificates are now, to all nodes.
  void Publish();
  void IssueCertificate(const Pod& pod) { IssueCertificate(IdentityOf(pod)); }
  void IssueCertificate(const tls::SpiffeId& identity);
  void ForgetCertificate(const Pod& pod) { certificates_.erase(IdentityOf(pod)); }
  tls::SpiffeId IdentityOf(const Pod& pod) const;
  std::shared_ptr<const tls::TlsContext> ContextOf(const Pod& pod) const;
  const tls::TestAuthority& authority() const { return authority_; }

  // What an application does: connects to anything, listens on its own port.
  Task<io::Result<std::unique_ptr<io::Connection>>> Connect(Pod& pod, io::SocketAddress to);
  std::unique_ptr<io::Listener> Listen(Pod& pod);

  io::Simulation& simulation() { return simulation_; }
  io::FakeNetwork& network() { return network_; }
  // Where applications and scenarios run.
  io::Loop& loop() { return loop_; }
  Node& node(size_t index) { return *nodes_[index]; }
  Pod& pod(size_t index) { return *pods_[index]; }
  size_t pod_count() const { return pods_.size(); }
  void Run(Task<void> scenario) { simulation_.Run(loop_, std::move(scenario)); }

 private:
  Pod& AddPod(WorkloadOptions workload, Node* node);

  io::Simulation simulation_;
  io::FakeNetwork network_;
  io::Loop& loop_;
  tls::TestAuthority authority_;
  World world_;
  Certificates::Map certificates_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Pod>> pods_;
};

// ---- Applications ----

std::span<const uint8_t> ToBytes(std::string_view text);
std::string ToText(std::span<const uint8_t> bytes);
// What has come once there are `size` bytes, or fewer when the stream ends before.
Task<std::string> ReadAtLeast(io::Stream& stream, size_t size);

enum class StreamEnd : uint8_t { kOrderly, kReset, kMoreBytes };
// What comes next on a stream from which nothing but its end is expected.
Task<StreamEnd> ReadEnd(io::Stream& stream);

}  // namespace heddle::agent::testing
