#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/seams/pod_network.h"
#include "lib/io/testing/fake_network.h"

namespace heddle::agent::testing {

// A captured pod on a FakeNetwork: what agent/node does with the kernel. Two hosts stand for its
// netns: `outside` has the listeners of the proxy, `inside` those of the application, both with the
// pod's address, so that what arrives from other pods is captured and what the proxy dials reaches
// the application.
class FakePodNetwork final : public PodNetwork {
 public:
  FakePodNetwork(io::FakeNetwork& network, CapturedPod pod)
      : pod_(std::move(pod)),
        outside_(network.AddHost(pod_.name, pod_.addresses)),
        inside_(network.AddHost(pod_.name + " (inside)", pod_.addresses)) {}

  // ---- PodNetwork ----
  const CapturedPod& pod() const override { return pod_; }
  std::optional<io::SocketAddress> TakeOriginalDestination(const io::SocketAddress& peer,
                                                           const io::SocketAddress& local) override;
  Task<io::Result<std::unique_ptr<io::Connection>>> DialOut(io::Loop& loop, io::SocketAddress to,
                                                            StopToken stop) override;
  Task<io::Result<std::unique_ptr<io::Connection>>> DialApplication(io::Loop& loop,
                                                                    io::SocketAddress to,
                                                                    io::IpAddress client,
                                                                    StopToken stop) override;

  // The proxy's three listeners; the plaintext one captures `application_port`.
  std::vector<PodListener> Listeners(uint16_t application_port);

  // ---- What the applications of the pod do ---- As the connect hook: the connection goes to the
  // outbound listener, and where it wanted to go is recorded.
  Task<io::Result<std::unique_ptr<io::Connection>>> Connect(io::Loop& loop, io::SocketAddress to,
                                                            StopToken stop);
  io::Result<std::unique_ptr<io::Listener>> Listen(io::Loop& loop, uint16_t port) {
    return inside_.Listen(loop, {address(), port});
  }

  const io::IpAddress& address() const { return pod_.addresses.front(); }
  io::FakeHost& outside() { return outside_; }
  size_t recorded_destinations() const { return destinations_.size(); }

 private:
  const CapturedPod pod_;
  io::FakeHost& outside_;
  io::FakeHost& inside_;
  // By the application's address.
  absl::flat_hash_map<io::SocketAddress, io::SocketAddress> destinations_;
  uint16_t last_port_ = 2000;
};

}  // namespace heddle::agent::testing
