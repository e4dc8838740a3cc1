#include "agent/node/kernel_pod_network.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/node/original_destination.h"
#include "lib/base/log.h"

namespace heddle::agent {
namespace {

// One visit of the netns thread makes this many sockets: little enough to hold for an idle pod. Each
// further visit makes twice as many, up to kStockMax, because a visit costs two changes of thread.
constexpr size_t kFirstBatch = 4;
// Kept per kind and loop.
constexpr size_t kStockMax = 16;
// How often another source port is tried for a connection to the application. With half of all
// ports in use, eight tries fail once in 256 times.
constexpr int kSourcePortTriesMax = 8;
// Source ports towards the application are those that clients do not choose for themselves: below
// and above the default of ip_local_port_range, 32768 to 60999. A client's SYN from a port that we
// use with its address would meet the application's socket instead of our listener, and hang.
constexpr uint64_t kLowPortFirst = 1024;
constexpr uint64_t kLowPorts = 32768 - kLowPortFirst;
constexpr uint64_t kHighPortFirst = 61000;
constexpr uint64_t kHighPorts = 65536 - kHighPortFirst;

size_t StockIndex(int family, DialPurpose purpose) {
  return (family == AF_INET6 ? 2u : 0u) + (purpose == DialPurpose::kApplication ? 1u : 0u);
}

uint16_t SourcePort(Random& random) {
  const uint64_t number = random.Below(kLowPorts + kHighPorts);
  return static_cast<uint16_t>(number < kLowPorts ? kLowPortFirst + number
                                                  : kHighPortFirst + (number - kLowPorts));
}

}  // namespace

// Used on its own loop only, but for construction and destruction.
struct KernelPodNetwork::Stock {
  struct Shelf {
    explicit Shelf(io::Loop& loop) : filled(loop) {}
    std::vector<UniqueFd> sockets;
    size_t batch = kFirstBatch;
    bool filling = false;
    WaitQueue filled;  // Or it could not be.
  };
  explicit Stock(io::Loop& loop) : shelves{Shelf(loop), Shelf(loop), Shelf(loop), Shelf(loop)} {}
  std::array<Shelf, 4> shelves;
  std::unique_ptr<netlink::TcpDiag> diag;
  SystemRandom random;
  bool used = false;  // Since the last trim.
};

KernelPodNetwork::KernelPodNetwork(CapturedPod pod, UniqueFd netns, const Parts& parts)
    : pod_(std::move(pod)),
      netns_(std::move(netns)),
      netns_thread_(parts.netns_thread),
      original_destinations_(parts.original_destinations) {
  for (io::Loop* loop : parts.loops) stocks_.emplace(loop, std::make_unique<Stock>(*loop));
}

KernelPodNetwork::~KernelPodNetwork() = default;

KernelPodNetwork::Stock& KernelPodNetwork::StockOf(io::Loop& loop) {
  const auto it = stocks_.find(&loop);
  CHECK(it != stocks_.end());
  it->second->used = true;
  return *it->second;
}

std::optional<io::SocketAddress> KernelPodNetwork::TakeOriginalDestination(
    const io::SocketAddress& peer, const io::SocketAddress& local) {
  return original_destinations_.Take(pod_.netns_cookie, peer, local);
}

Task<io::Result<UniqueFd>> KernelPodNetwork::TakeSocket(io::Loop& loop, int family,
                                                        DialPurpose purpose) {
  Stock::Shelf& shelf = StockOf(loop).shelves[StockIndex(family, purpose)];
  while (shelf.sockets.empty()) {
    if (shelf.filling) {
      co_await shelf.filled.Wait({});
      continue;
    }
    shelf.filling = true;
    std::vector<UniqueFd> made;
    absl::AnyInvocable<absl::Status()> make = [&made, family, purpose,
                                               count = shelf.batch]() -> absl::Status {
      for (size_t i = 0; i < count; ++i) {
        auto socket = MakeDialSocket(family, purpose);
        if (!socket.ok()) return made.empty() ? socket.status() : absl::OkStatus();
        made.push_back(*std::move(socket));
      }
      return absl::OkStatus();
    };
    const absl::Status status = co_await netns_thread_.Run(loop, netns_.get(), std::move(make));
    shelf.filling = false;
    shelf.filled.NotifyAll();  // They run on a later step.
    if (!status.ok()) {
      LOG_WARN("pod.socket.failed", KV("pod", pod_.uid), KV("error", status));
      co_return std::unexpected(io::Error::Errno(EMFILE, io::Op::kSocket));
    }
    shelf.sockets = std::move(made);
    shelf.batch = std::min(shelf.batch * 2, kStockMax);
  }
  UniqueFd socket = std::move(shelf.sockets.back());
  shelf.sockets.pop_back();
  co_return socket;
}

Task<io::Result<std::unique_ptr<io::Connection>>> KernelPodNetwork::DialOut(io::Loop& loop,
                                                                            io::SocketAddress to,
                                                                            StopToken stop) {
  CO_TRY(UniqueFd socket, co_await TakeSocket(loop, to.family(), DialPurpose::kOut));
  io::ConnectOptions options{.to = to, .bind = std::nullopt, .socket = std::move(socket)};
  co_return co_await network_.Connect(loop, std::move(options), stop);
}

// A source address that is preserved brings the two ends' addresses of the captured connection
// back: the same ports would make the kernel deliver our packets to that connection. So the tuple
// that our SYN would hit is looked for first. What an earlier dial of ours left in TIME_WAIT takes
// the SYN: both ends had the clock of this netns, so it is newer than all that they sent.
Task<io::Result<bool>> KernelPodNetwork::IsTaken(io::Loop& loop, io::SocketAddress local,
                                                 io::SocketAddress remote) {
  Stock& stock = StockOf(loop);
  if (stock.diag == nullptr) {
    std::unique_ptr<netlink::TcpDiag> opened;
    absl::AnyInvocable<absl::Status()> open = [&opened]() -> absl::Status {
      auto diag = netlink::TcpDiag::Open();
      if (!diag.ok()) return diag.status();
      opened = *std::move(diag);
      return absl::OkStatus();
    };
    const absl::Status status = co_await netns_thread_.Run(loop, netns_.get(), std::move(open));
    if (!status.ok()) {
      LOG_WARN("pod.diag.failed", KV("pod", pod_.uid), KV("error", status));
      co_return std::unexpected(io::Error::Errno(EIO, io::Op::kSocket));
    }
    if (stock.diag == nullptr) stock.diag = std::move(opened);
  }
  const auto found = stock.diag->Find(local, remote);
  if (!found.ok()) co_return std::unexpected(io::Error::Errno(EIO, io::Op::kConnect));
  if (!found->has_value()) co_return false;
  const bool ours = ((*found)->mark & kProxyMarkMask) == kProxyMark;
  co_return !((*found)->time_wait && ours);
}

Task<io::Result<std::unique_ptr<io::Connection>>> KernelPodNetwork::DialApplication(
    io::Loop& loop, io::SocketAddress to, io::IpAddress client, StopToken stop) {
  // A pod that reaches itself through its own service keeps the address that the kernel chooses,
  // which is its own.
  if (client == to.ip) co_return co_await DialOut(loop, to, stop);
  for (int attempt = 0; attempt < kSourcePortTriesMax; ++attempt) {
    const io::SocketAddress source{client, SourcePort(StockOf(loop).random)};
    CO_TRY(const bool taken, co_await IsTaken(loop, to, source));
    if (taken) continue;
    CO_TRY(UniqueFd socket, co_await TakeSocket(loop, to.family(), DialPurpose::kApplication));
    io::ConnectOptions options{.to = to, .bind = source, .socket = std::move(socket)};
    auto connected = co_await network_.Connect(loop, std::move(options), stop);
    const bool port_taken = !connected && (connected.error().is_errno(EADDRINUSE) ||
                                           connected.error().is_errno(EADDRNOTAVAIL));
    if (!port_taken) co_return connected;
  }
  co_return std::unexpected(io::Error::Errno(EADDRNOTAVAIL, io::Op::kConnect));
}

void KernelPodNetwork::TrimIdle() {
  for (auto& [loop, stock] : stocks_) {
    loop->Post([self = shared_from_this(), stock = stock.get()] {
      if (!std::exchange(stock->used, false)) {
        for (Stock::Shelf& shelf : stock->shelves) {
          shelf.sockets.clear();
          shelf.batch = kFirstBatch;
        }
        stock->diag.reset();
      }
    });
  }
}

}  // namespace heddle::agent
