#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <span>
#include <vector>

#include "agent/node/netns.h"
#include "agent/node/pod_sockets.h"
#include "agent/seams/pod_network.h"
#include "lib/base/random.h"
#include "lib/io/socket.h"
#include "lib/netlink/tcp_diag.h"

namespace heddle::agent {

class OriginalDestinations;

// A captured pod's network through the kernel: sockets made in its netns by the netns thread,
// connected on the workers' loops. Each worker has its own stock of unconnected sockets, so nothing
// is shared on the way; the stock is filled in batches and trimmed when idle. Every socket keeps
// the pod's netns alive: all go with this object.
class KernelPodNetwork final : public PodNetwork,
                               public std::enable_shared_from_this<KernelPodNetwork> {
 public:
  struct Parts {
    NetnsThread& netns_thread;
    OriginalDestinations& original_destinations;
    std::span<io::Loop* const> loops;  // All that will dial.
  };
  KernelPodNetwork(CapturedPod pod, UniqueFd netns, const Parts& parts);
  ~KernelPodNetwork() override;

  const CapturedPod& pod() const override { return pod_; }
  std::optional<io::SocketAddress> TakeOriginalDestination(const io::SocketAddress& peer,
                                                           const io::SocketAddress& local) override;
  Task<io::Result<std::unique_ptr<io::Connection>>> DialOut(io::Loop& loop, io::SocketAddress to,
                                                            StopToken stop) override;
  Task<io::Result<std::unique_ptr<io::Connection>>> DialApplication(io::Loop& loop,
                                                                    io::SocketAddress to,
                                                                    io::IpAddress client,
                                                                    StopToken stop) override;

  // Closes the sockets that no loop has used since the last call. From the control loop.
  void TrimIdle();

  int netns_fd() const { return netns_.get(); }

 private:
  struct Stock;
  Task<io::Result<UniqueFd>> TakeSocket(io::Loop& loop, int family, DialPurpose purpose);
  Task<io::Result<bool>> IsTaken(io::Loop& loop, io::SocketAddress local, io::SocketAddress remote);
  Stock& StockOf(io::Loop& loop);

  const CapturedPod pod_;
  UniqueFd netns_;
  NetnsThread& netns_thread_;
  OriginalDestinations& original_destinations_;
  io::KernelNetwork network_;
  absl::flat_hash_map<io::Loop*, std::unique_ptr<Stock>> stocks_;  // Fixed after construction.
};

}  // namespace heddle::agent
