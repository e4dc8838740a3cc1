#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/netlink/route.h"
#include "lib/netlink/tcp_diag.h"

namespace heddle::netlink {
namespace {

constexpr MarkedLocalDelivery kDelivery = {
    .mark = 0x539, .mask = 0xfff, .table = 100, .priority = 32764};

// Runs `body` on a thread of its own in a fresh netns, which goes with the thread. False without
// the right to do so.
bool InFreshNetns(const std::function<void()>& body, bool loopback_up = true) {
  bool entered = false;
  std::thread thread([&] {
    entered = ::unshare(CLONE_NEWNET) == 0 && (!loopback_up || BringUpLoopback().ok());
    if (entered) body();
  });
  thread.join();
  return entered;
}

#define IN_FRESH_NETNS(...)       \
  if (!InFreshNetns(__VA_ARGS__)) \
  GTEST_SKIP() << "needs the right to create network namespaces (root)"

UniqueFd Listen(uint16_t* port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(fd.get(), 1), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

TEST(BringUpLoopback, LetsRoutesBeMadeOnItAndMayBeCalledTwice) {
  const bool entered = InFreshNetns(
      [] {
        EXPECT_FALSE(AddMarkedLocalDelivery(kDelivery, AF_INET6).ok());
        EXPECT_TRUE(BringUpLoopback().ok());
        EXPECT_TRUE(BringUpLoopback().ok());
        EXPECT_TRUE(AddMarkedLocalDelivery(kDelivery, AF_INET6).ok());
      },
      false);
  if (!entered) GTEST_SKIP() << "needs the right to create network namespaces (root)";
}

TEST(MarkedLocalDelivery, CanBeAddedTwiceAndRemovedTwiceInBothFamilies) {
  IN_FRESH_NETNS([] {
    for (const int family : {AF_INET, AF_INET6}) {
      EXPECT_TRUE(AddMarkedLocalDelivery(kDelivery, family).ok());
      EXPECT_TRUE(AddMarkedLocalDelivery(kDelivery, family).ok());
      EXPECT_TRUE(RemoveMarkedLocalDelivery(kDelivery, family).ok());
      EXPECT_TRUE(RemoveMarkedLocalDelivery(kDelivery, family).ok());
    }
  });
}

TEST(MarkedLocalDelivery, DeliversOnlyMarkedPackets) {
  IN_FRESH_NETNS([] {
    ASSERT_TRUE(AddMarkedLocalDelivery(kDelivery, AF_INET).ok());
    sockaddr_in foreign{.sin_family = AF_INET,
                        .sin_port = htons(9),
                        .sin_addr = {inet_addr("198.51.100.7")},
                        .sin_zero = {}};
    // Connecting a datagram socket is a route look-up and nothing more.
    const auto reaches = [&](int mark) {
      const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      EXPECT_EQ(::setsockopt(fd.get(), SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
      EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
      return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&foreign), sizeof(foreign)) == 0;
    };
    EXPECT_FALSE(reaches(0));
    EXPECT_FALSE(reaches(0x111));
    EXPECT_TRUE(reaches(0x539));
    EXPECT_TRUE(reaches(0x1539)) << "bits outside the mask do not count";
  });
}

TEST(ListAddresses, LeavesLoopbackOut) {
  IN_FRESH_NETNS([] {
    const auto addresses = ListAddresses();
    ASSERT_TRUE(addresses.ok()) << addresses.status();
    EXPECT_THAT(*addresses, testing::IsEmpty());
  });
}

TEST(TcpDiag, TellsALiveTupleFromAListener) {
  IN_FRESH_NETNS([] {
    uint16_t port = 0;
    const UniqueFd listener = Listen(&port);
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(port),
                   .sin_addr = {htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    sockaddr_storage own{};
    socklen_t size = sizeof(own);
    ASSERT_EQ(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    const io::SocketAddress server{io::IpAddress::V4(127, 0, 0, 1), port};
    const io::SocketAddress peer = *io::SocketAddress::FromKernel(own);
    auto diag = TcpDiag::Open();
    ASSERT_TRUE(diag.ok()) << diag.status();
    EXPECT_TRUE((*diag)->Find(server, peer)->has_value());
    EXPECT_TRUE((*diag)->Find(peer, server)->has_value());
    const io::SocketAddress nobody{peer.ip, static_cast<uint16_t>(peer.port ^ 1)};
    EXPECT_FALSE((*diag)->Find(server, nobody)->has_value());
    EXPECT_THAT((*diag)->IsListening(port, AF_INET).value(), true);
    EXPECT_THAT((*diag)->IsListening(static_cast<uint16_t>(port ^ 1), AF_INET).value(), false);
  });
}

TEST(TcpDiag, TellsWhatIsInTimeWaitAndItsMark) {
  IN_FRESH_NETNS([] {
    uint16_t port = 0;
    const UniqueFd listener = Listen(&port);
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(port),
                   .sin_addr = {htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    const io::SocketAddress server{io::IpAddress::V4(127, 0, 0, 1), port};
    auto diag = TcpDiag::Open();
    ASSERT_TRUE(diag.ok()) << diag.status();
    for (const uint32_t mark : {0u, 0x539u}) {
      UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
      ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
      UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      sockaddr_storage own{};
      socklen_t size = sizeof(own);
      ASSERT_EQ(::getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
      const io::SocketAddress peer = *io::SocketAddress::FromKernel(own);
      const auto open = (*diag)->Find(peer, server).value();
      ASSERT_TRUE(open.has_value());
      EXPECT_FALSE(open->time_wait);
      client.Reset();
      accepted.Reset();
      const auto closed = (*diag)->Find(peer, server).value();
      ASSERT_TRUE(closed.has_value());
      EXPECT_TRUE(closed->time_wait);
      EXPECT_EQ(closed->mark, mark);
    }
  });
}

TEST(TcpDiag, CountsConnectionsThatAreNotToTheirOwnAddress) {
  IN_FRESH_NETNS([] {
    uint16_t port = 0;
    const UniqueFd listener = Listen(&port);
    const sockaddr_in to{.sin_family = AF_INET,
                         .sin_port = htons(port),
                         .sin_addr = {htonl(INADDR_LOOPBACK)},
                         .sin_zero = {}};
    std::vector<UniqueFd> clients;
    for (const uint32_t last : {1, 2}) {
      const UniqueFd& client =
          clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in from{.sin_family = AF_INET,
                             .sin_port = 0,
                             .sin_addr = {htonl(INADDR_LOOPBACK - 1 + last)},
                             .sin_zero = {}};
      ASSERT_EQ(::bind(client.get(), reinterpret_cast<const sockaddr*>(&from), sizeof(from)), 0);
      ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    }
    auto diag = TcpDiag::Open();
    ASSERT_TRUE(diag.ok()) << diag.status();
    // Both ends of the one from 127.0.0.2.
    EXPECT_EQ((*diag)->CountEstablished(AF_INET).value(), 2u);
    EXPECT_EQ((*diag)->CountEstablished(AF_INET6).value(), 0u);
  });
}

}  // namespace
}  // namespace heddle::netlink
