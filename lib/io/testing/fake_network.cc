#include "lib/io/testing/fake_network.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>

namespace heddle::io {

namespace {

constexpr size_t kBacklog = 128;
// How long a SYN is repeated without an answer, and how often (Linux: about 130 s in all).
constexpr absl::Duration kConnectTimeout = absl::Seconds(127);
constexpr absl::Duration kConnectRetry = absl::Seconds(1);

}  // namespace

class FakeListener final : public Listener {
 public:
  FakeListener(Loop& loop, FakeHost& host, const SocketAddress& local) : host_(host), local_(local), waiting_(loop) {
    host_.listeners_.push_back(this);
  }
  ~FakeListener() override { std::erase(host_.listeners_, this); }
  SocketAddress local() const override { return local_; }
  uint64_t accept_pauses_total() const override { return 0; }

  Task<Result<std::unique_ptr<AcceptedConnection>>> Accept(StopToken stop) override {
    bool stopped = stop.requested();
    while (!stopped && backlog_.empty()) stopped = !co_await waiting_.Wait(stop);
    if (stopped) co_return std::unexpected(Error::Stopped(stop.reason(), Op::kAccept));
    auto accepted = std::move(backlog_.front());
    backlog_.pop_front();
    co_return accepted;
  }

  bool Full() const { return backlog_.size() >= kBacklog; }
  void Push(std::unique_ptr<AcceptedConnection> accepted) {
    backlog_.push_back(std::move(accepted));
    waiting_.NotifyOne();
  }

 private:
  FakeHost& host_;
  const SocketAddress local_;
  std::deque<std::unique_ptr<AcceptedConnection>> backlog_;
  WaitQueue waiting_;
};

FakeHost::FakeHost(FakeNetwork& network, std::string name, std::vector<IpAddress> addresses)
    : network_(network), name_(std::move(name)), addresses_(std::move(addresses)) {}

bool FakeHost::Has(const IpAddress& address) const {
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}

// From the upper half of the ports, in turn.
uint16_t FakeHost::NextPort() {
  last_port_ = static_cast<uint16_t>((last_port_ + 1) | 0x8000);
  return last_port_;
}

FakeListener* FakeHost::Find(const SocketAddress& address) {
  for (FakeListener* listener : listeners_) {
    const SocketAddress at = listener->local();
    if (at.port != address.port) continue;
    // "::" is dual-stack; 0.0.0.0 is for IPv4 only.
    const bool any = at.ip.is_unspecified() && (!at.ip.is_v4() || address.ip.is_v4());
    if (at.ip == address.ip || any) return listener;
  }
  return nullptr;
}

Result<std::unique_ptr<Listener>> FakeHost::Listen(Loop& loop, const SocketAddress& address) {
  if (!address.ip.is_unspecified() && !address.ip.is_loopback() && !Has(address.ip)) {
    return std::unexpected(Error::Errno(EADDRNOTAVAIL, Op::kBind));
  }
  SocketAddress at = address;
  if (at.port == 0) at.port = NextPort();
  if (Find(at) != nullptr) return std::unexpected(Error::Errno(EADDRINUSE, Op::kListen));
  return std::make_unique<FakeListener>(loop, *this, at);
}

SocketAddress FakeHost::SourceFor(const ConnectOptions& options) {
  SocketAddress source;
  if (options.bind) source = *options.bind;
  if (!options.bind && options.to.ip.is_loopback()) source.ip = options.to.ip;
  if (!options.bind && !options.to.ip.is_loopback()) {
    const auto same_family = [&](const IpAddress& a) { return a.is_v4() == options.to.ip.is_v4(); };
    const auto own = std::find_if(addresses_.begin(), addresses_.end(), same_family);
    if (own != addresses_.end()) source.ip = *own;
  }
  if (source.port == 0) source.port = NextPort();
  return source;
}

Result<std::unique_ptr<Connection>> FakeHost::Establish(Loop& loop, FakeHost& to, const ConnectOptions& options) {
  FakeListener* listener = to.Find(options.to);
  if (listener == nullptr || listener->Full() || network_.Hits(network_.faults().refuse_connect_one_in)) {
    network_.Note(0, absl::StrCat("refuse ", name_, " ", options.to.ToString()));
    return std::unexpected(Error::Errno(ECONNREFUSED, Op::kConnect));
  }
  auto link = std::make_shared<FakeLink>(network_, *this, to);
  link->client = SourceFor(options);
  link->server = options.to;
  network_.Note(link->forth.id, absl::StrCat("connect ", link->client.ToString(), " ", link->server.ToString()));
  listener->Push(MakeServerEnd(link));
  return MakeClientEnd(loop, std::move(link));
}

Task<Result<std::unique_ptr<Connection>>> FakeHost::Connect(Loop& loop, ConnectOptions options, StopToken stop) {
  const MonotonicTime give_up = loop.Now() + kConnectTimeout;
  FakeHost* to = network_.HostOf(*this, options.to.ip);
  absl::Duration wait = network_.Delay() + network_.Delay();
  do {
    if (stop.requested() || !co_await loop.Sleep(wait, stop)) {
      co_return std::unexpected(Error::Stopped(stop.reason(), Op::kConnect));
    }
    if (to == nullptr) co_return std::unexpected(Error::Errno(EHOSTUNREACH, Op::kConnect));
    if (!network_.Partitioned(*this, *to)) co_return Establish(loop, *to, options);
    wait = kConnectRetry;
  } while (loop.Now() < give_up);
  co_return std::unexpected(Error::Errno(ETIMEDOUT, Op::kConnect));
}

FakeNetwork::FakeNetwork(Simulation& simulation, const FakeFaults& faults) : simulation_(simulation), faults_(faults) {}
FakeNetwork::~FakeNetwork() { CHECK(wires_.empty()); }

FakeHost& FakeNetwork::AddHost(std::string name, std::vector<IpAddress> addresses) {
  hosts_.push_back(std::make_unique<FakeHost>(*this, std::move(name), std::move(addresses)));
  return *hosts_.back();
}

void FakeNetwork::Partition(FakeHost& a, FakeHost& b) {
  Note(0, absl::StrCat("partition ", a.name(), " ", b.name()));
  partitions_.insert({&a, &b});
  partitions_.insert({&b, &a});
}

void FakeNetwork::Heal(FakeHost& a, FakeHost& b) {
  Note(0, absl::StrCat("heal ", a.name(), " ", b.name()));
  partitions_.erase({&a, &b});
  partitions_.erase({&b, &a});
  wires_.ForEach([](FakeWire& wire) { wire.Resume(); });
}

bool FakeNetwork::Partitioned(const FakeHost& a, const FakeHost& b) const { return partitions_.contains({&a, &b}); }

absl::Duration FakeNetwork::Delay() {
  const auto spread = static_cast<uint64_t>(absl::ToInt64Nanoseconds(faults_.delay_max - faults_.delay_min));
  return faults_.delay_min + absl::Nanoseconds(static_cast<int64_t>(simulation_.random().Below(spread + 1)));
}

FakeHost* FakeNetwork::HostOf(FakeHost& from, const IpAddress& address) {
  if (address.is_loopback() || from.Has(address)) return &from;
  for (const auto& host : hosts_) {
    if (host->Has(address)) return host.get();
  }
  return nullptr;
}

uint64_t FakeNetwork::Register(FakeWire& wire) {
  wires_.PushBack(wire);
  return ++next_wire_;
}

void FakeNetwork::Note(uint64_t connection, std::string_view event, uint64_t number) {
  std::string line = absl::StrCat(simulation_.clock().Monotonic().nanoseconds(), " ", connection, " ",
                                  absl::string_view(event.data(), event.size()), " ", number);
  for (const char c : line) trace_hash_ = (trace_hash_ ^ static_cast<uint8_t>(c)) * 1099511628211u;  // FNV-1a
  trace_.push_back(std::move(line));
  if (trace_.size() > kTraceLinesMax) trace_.pop_front();
}

}  // namespace heddle::io
