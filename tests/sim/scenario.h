#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/proxy/testing/mesh.h"
#include "tests/sim/exchange.h"

namespace heddle::sim {

// What one run has done, to see that the runs are worth something.
struct Tally {
  uint64_t exchanges = 0;
  uint64_t complete = 0;  // Both ends ended in order.
  uint64_t bytes = 0;
  uint64_t changes = 0;  // Policies, certificates, pods, partitions.
  Tally& operator+=(const Tally& other);
};

// Two nodes with the real proxy, five pods, and everything that can happen to them, from one seed:
// connects to pods, services and outsiders, bytes both ways, half-closes in both orders, resets,
// refusals, short reads, stalls, partitions, policies that come and go, rotated certificates, pods
// that are released and captured again, and in some runs a stop in the middle.
//
// What must hold: an orderly end is seen only after exactly the bytes that were sent; the server's
// application sees the address of its client; a record names the identity that belongs to its
// address; everything ends; nothing is left. What does not hold is in violations().
class Scenario {
 public:
  explicit Scenario(uint64_t seed);
  void Run();
  const std::vector<std::string>& violations() const { return violations_; }
  const Tally& tally() const { return tally_; }

 private:
  static agent::testing::MeshOptions OptionsFor(uint64_t seed);

  Task<void> Play();
  Task<void> Serve(size_t pod);
  Task<void> ServeOne(size_t pod, std::unique_ptr<io::AcceptedConnection> accepted);
  Task<void> Connect(Exchange& exchange, absl::Duration after);
  Task<void> Disturb();
  Task<void> ChangeOne();
  Task<void> Partition();
  Task<void> Recapture(size_t pod);
  void ChangePolicy();
  void MakeExchanges();
  io::SocketAddress ChooseDestination(Exchange& exchange);
  void Check();
  void CheckLog(const agent::testing::Mesh::Node& node);
  void Violated(std::string what) { violations_.push_back(std::move(what)); }

  agent::testing::Mesh mesh_;
  Random& random_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::map<uint64_t, Exchange*> by_id_;
  std::map<const Exchange*, io::SocketAddress> destinations_;
  std::vector<std::string> violations_;
  Tally tally_;
  const bool stop_in_the_middle_;
  bool denying_ = false;
  size_t outsider_ = 0;
  StopSource serving_;
  StopSource disturbing_;
  Scope servers_;
  Scope clients_;
  Scope disturbance_;
};

}  // namespace heddle::sim
