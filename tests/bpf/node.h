#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/node/agent_cgroup.h"
#include "agent/node/bpf_counters.h"
#include "agent/node/bpf_loader.h"
#include "agent/node/original_destination.h"
#include "agent/node/pod_lookup_link.h"
#include "agent/node/pod_maps.h"
#include "lib/base/unique_fd.h"
#include "lib/io/address.h"

// A node in miniature for tests of the BPF side: the test's process is the agent, its own (private)
// netns is the host's, pods and "outside" are further netns joined to it by veth pairs, and
// applications are short-lived child processes in cgroups of their own. Nothing of it outlives the
// process but cgroups, and those are removed by the destructor.
namespace heddle::agent {

io::IpAddress Ip(const std::string& text);
io::SocketAddress At(const std::string& ip, uint16_t port);
// The pod's record with its addresses; an empty one if there is none.
PodRecord Listed(const PodMaps& pods, uint64_t netns_cookie);

// What a child process did: errno of its one interesting call (0: it worked) and the socket it
// made.
struct Answer {
  int error = 0;
  UniqueFd socket;
};

class Netns {
 public:
  // A new, empty one.
  Netns();
  int fd() const { return fd_.get(); }
  uint64_t cookie() const { return cookie_; }
  uint64_t ino() const { return ino_; }
  // A path by which other programs of this process's children can open it.
  std::string path() const;
  // Runs `work` on a thread inside this netns: in the agent's cgroup, as its helper thread does.
  void Run(const std::function<void()>& work) const;
  // Runs a shell script inside and requires that it works.
  void Shell(const std::string& script) const;

 private:
  UniqueFd fd_;
  uint64_t cookie_ = 0;
  uint64_t ino_ = 0;
};

struct ConnectOptions {
  int protocol = 0;  // IPPROTO_MPTCP
  std::optional<io::SocketAddress> source;
  std::string device;   // SO_BINDTODEVICE
  bool mapped = false;  // Connect to an IPv4 address from an IPv6 socket.
  bool nonblocking = false;
  bool reset_on_close = false;
  enum { kConnect, kFastOpenSend, kFastOpenConnect, kUring, kUringWorker } how = kConnect;
};

// Creates and connects a TCP socket in the caller's netns.
Answer Connect(const io::SocketAddress& to, const ConnectOptions& options);
// A listening TCP socket on every address of the caller's netns; `ipv4` for the address family.
Answer Listen(uint16_t port, int backlog = 64, bool ipv4 = false);

io::SocketAddress PeerOf(int socket);
io::SocketAddress LocalOf(int socket);
inline constexpr int kWaitMs = 1000;
// Longer than a SYN's first retransmissions.
inline constexpr int kRetransmitWaitMs = 5000;
// Waits for the kernel, which finishes some things in the background; false: it did not within
// kWaitMs.
bool Eventually(const std::function<bool()>& condition);
std::optional<UniqueFd> Accept(int listener, int wait_ms = kWaitMs);
bool NothingToAccept(int listener);
// True if what is written at one end is read at the other.
bool AreConnected(int a, int b);

struct Pod {
  std::string name;
  Netns netns;
  io::IpAddress v4;
  io::IpAddress v6;
  PodRecord record;
  UniqueFd outbound;  // The agent's listeners; closing one is "the agent is gone".
  UniqueFd plaintext;
  UniqueFd hbone;
};

// Test fixture. Skips, visibly, without root or cgroup2.
class NodeTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  virtual BpfLoaderOptions Options() const { return options_; }
  void StartAgent();
  // Ends the agent's objects; pins and attached programs stay.
  void StopAgent();

  // A netns with eth0 and addresses 10.77.<index>.2 and fd77:<index>::2; the host has .1 and ::1.
  std::unique_ptr<Pod> MakePod(const std::string& name, int index);
  // Enters it into the maps, attaches sk_lookup, creates the three listeners.
  void Capture(Pod& pod);
  void Update(Pod& pod) { ASSERT_TRUE(pods_->Put(pod.record).ok()); }

  // Runs `work` in a child process in the cgroup (relative to this node's) and netns (null: the
  // host's).
  Answer RunAs(const std::string& cgroup, const Netns* netns,
               const std::function<Answer()>& work) const;
  Answer AppConnect(const Pod& pod, const io::SocketAddress& to,
                    const ConnectOptions& options = {}) const;
  Answer AppListen(const Pod& pod, uint16_t port, bool ipv4 = false) const;
  // From outside the node, or from a process of the node itself (in `cgroup`).
  Answer OutsideConnect(const io::SocketAddress& to, const ConnectOptions& options = {}) const;
  Answer HostConnect(const std::string& cgroup, const io::SocketAddress& to) const;

  uint64_t Count(hd_stat stat) const { return counters_->Read(stat); }
  uint32_t Entries(MapId id) const { return counters_->Fill(id)->entries; }
  std::string CgroupPath(const std::string& relative) const {
    return options_.cgroup + "/" + relative;
  }
  void MakeCgroup(const std::string& relative);

  BpfLoaderOptions options_;
  CgroupPlace place_;
  std::unique_ptr<BpfLoader> loader_;
  std::unique_ptr<PodMaps> pods_;
  std::unique_ptr<PodLookupLinks> links_;
  std::unique_ptr<OriginalDestinations> destinations_;
  std::unique_ptr<BpfCounters> counters_;
  std::unique_ptr<Pod> outside_;  // Captured by nobody.
};

}  // namespace heddle::agent
