#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/intrusive_list.h"
#include "lib/io/network.h"
#include "lib/io/testing/fake_link.h"
#include "lib/io/testing/simulation.h"

namespace heddle::io {

class FakeListener;
class FakeNetwork;

// What goes wrong, and how often: each operation that could be hit counts, and the simulation's seed decides
// which ones are. "One in 0" means never.
struct FakeFaults {
  absl::Duration delay_min = absl::Microseconds(50);
  absl::Duration delay_max = absl::Milliseconds(2);
  uint64_t short_read_one_in = 0;
  uint64_t reset_one_in = 0;         // Of reads and writes: the connection breaks, both ends see ECONNRESET.
  uint64_t refuse_connect_one_in = 0;
};

// A machine (or a network namespace) on a FakeNetwork. As an io::Network it works like the kernel's: connects
// come from its first address of the destination's family unless ConnectOptions::bind says otherwise (any
// source may be bound: the simulation has no IP_TRANSPARENT); loopback reaches itself; ConnectOptions::socket
// is closed and means nothing. A destination without a listener refuses, one without a host is EHOSTUNREACH,
// one behind a partition times out.
class FakeHost final : public Network {
 public:
  FakeHost(FakeNetwork& network, std::string name, std::vector<IpAddress> addresses);

  Task<Result<std::unique_ptr<Connection>>> Connect(Loop& loop, ConnectOptions options, StopToken stop) override;
  Result<std::unique_ptr<Listener>> Listen(Loop& loop, const SocketAddress& address) override;

  const std::string& name() const { return name_; }
  bool Has(const IpAddress& address) const;
  void AddAddress(const IpAddress& address) { addresses_.push_back(address); }

 private:
  friend class FakeListener;
  friend class FakeNetwork;
  uint16_t NextPort();
  FakeListener* Find(const SocketAddress& address);
  SocketAddress SourceFor(const ConnectOptions& options);
  Result<std::unique_ptr<Connection>> Establish(Loop& loop, FakeHost& to, const ConnectOptions& options);

  FakeNetwork& network_;
  const std::string name_;
  std::vector<IpAddress> addresses_;
  std::vector<FakeListener*> listeners_;
  uint16_t last_port_ = 32767;
};

// A network of hosts in a Simulation: delays, short reads, resets, refusals and partitions from its seed, and a
// trace of what happened that is the same for the same seed. Outlives its listeners and connections.
class FakeNetwork {
 public:
  explicit FakeNetwork(Simulation& simulation, const FakeFaults& faults = {});
  ~FakeNetwork();
  FakeNetwork(const FakeNetwork&) = delete;
  FakeNetwork& operator=(const FakeNetwork&) = delete;

  FakeHost& AddHost(std::string name, std::vector<IpAddress> addresses);
  // Changes what goes wrong from now on, e.g. nothing while a scenario ends.
  void SetFaults(const FakeFaults& faults) { faults_ = faults; }
  // Nothing passes between the two until Heal(): bytes under way wait, connects time out.
  void Partition(FakeHost& a, FakeHost& b);
  void Heal(FakeHost& a, FakeHost& b);

  // The events so far, one line each: the last kTraceLinesMax, and a hash of all.
  static constexpr size_t kTraceLinesMax = 100'000;
  const std::deque<std::string>& trace() const { return trace_; }
  uint64_t trace_hash() const { return trace_hash_; }

  // For the parts of the fake network.
  Simulation& simulation() { return simulation_; }
  const FakeFaults& faults() const { return faults_; }
  bool Hits(uint64_t one_in) { return one_in != 0 && simulation_.random().OneIn(one_in); }
  absl::Duration Delay();
  bool Partitioned(const FakeHost& a, const FakeHost& b) const;
  FakeHost* HostOf(FakeHost& from, const IpAddress& address);
  void Note(uint64_t connection, std::string_view event, uint64_t number = 0);
  uint64_t Register(FakeWire& wire);

 private:
  Simulation& simulation_;
  FakeFaults faults_;
  std::vector<std::unique_ptr<FakeHost>> hosts_;
  std::set<std::pair<const FakeHost*, const FakeHost*>> partitions_;
  IntrusiveList<FakeWire> wires_;
  uint64_t next_wire_ = 0;
  std::deque<std::string> trace_;
  uint64_t trace_hash_ = 14695981039346656037u;
};

}  // namespace heddle::io
