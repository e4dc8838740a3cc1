#include "agent/hbone/tunnel_pool.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "lib/base/heap_grow.h"

namespace heddle::agent {
namespace {

// Each tunnel gets about the same of the network and of its worker, so that of two with 384 and 116 bulk flows those of
// the second are three times as fast. While there are few they are therefore filled by half: with 500 flows the
// difference is twofold. Later, memory counts, and the last one hardly.
constexpr size_t kFewTunnels = 4;
constexpr size_t kStreamsWhileFew = 200;

}  // namespace

// The tunnels of one target, and those who wait for one.
struct TunnelPool::Group {
  Group(io::Loop& loop, TunnelTarget target) : target(std::move(target)), changed(loop) {}

  // `another`: whether one more may be opened instead.
  Tunnel* FindWithRoom(bool another) const {
    const bool few = another && tunnels.size() < kFewTunnels;
    const auto it = std::find_if(tunnels.begin(), tunnels.end(), [few](const Tunnel* tunnel) {
      return tunnel->CanOpen() && (!few || tunnel->streams() < kStreamsWhileFew);
    });
    return it == tunnels.end() ? nullptr : *it;
  }

  void Fail(TunnelFailure failure) {
    ++failures_total;
    last_failure = std::move(failure);
  }

  const TunnelTarget target;
  std::vector<Tunnel*> tunnels;  // Open; the oldest first, so that others become idle.
  bool opening = false;
  uint64_t failures_total = 0;  // Attempts to open one.
  std::optional<TunnelFailure> last_failure;
  WaitQueue changed;  // A tunnel was opened, or could not be.
  size_t users = 0;   // Requests and tunnels; the group goes with the last.
};

// Keeps a group while a request needs it.
class TunnelPool::GroupUse {
 public:
  GroupUse(TunnelPool& pool, TunnelTarget target)
      : pool_(pool), group_(Find(pool, std::move(target))) {
    ++group_.users;
  }
  ~GroupUse() { pool_.Unuse(group_); }
  GroupUse(const GroupUse&) = delete;
  GroupUse& operator=(const GroupUse&) = delete;
  Group& group() { return group_; }

 private:
  static Group& Find(TunnelPool& pool, TunnelTarget target) {
    auto& slot = pool.groups_[target];
    if (slot == nullptr) slot = std::make_unique<Group>(pool.loop_, std::move(target));
    return *slot;
  }
  TunnelPool& pool_;
  Group& group_;
};

// A request for which a tunnel is opened, held by who asks; the tunnel may outlive it.
struct TunnelPool::Opener {
  Opener() = default;
  ~Opener() {
    if (first == nullptr) return;
    first->request = nullptr;
    first->stream.reset();
  }
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  std::shared_ptr<FirstRequest> Begin(const http::Headers& request) {
    CHECK(first == nullptr || first->stream == nullptr);
    return first = std::make_shared<FirstRequest>(FirstRequest{.request = &request});
  }

  // Its own tunnel is open, and the request on its way.
  bool has_stream() const { return first != nullptr && first->opened && first->stream != nullptr; }

  std::shared_ptr<FirstRequest> first;
};

namespace {

// What ended the wait for a tunnel or an answer.
TunnelFailure Stopped(StopToken stop) {
  const bool timeout = stop.reason() == StopReason::kDeadline;
  return {
      {timeout ? FailureReason::kDialTimeout : FailureReason::kPodReleased, FailureSide::kUpstream},
      timeout ? "no answer to the CONNECT request" : "stopped"};
}

TunnelFailure RequestFailure(const io::Error& error, StopToken stop) {
  if (error.stopped()) return Stopped(stop);
  const bool refused = http::IsRetryable(error);
  return {{refused ? FailureReason::kStreamRefused : FailureReason::kTunnelLost,
           FailureSide::kUpstream, refused},
          error.ToString()};
}

}  // namespace

TunnelPool::TunnelPool(io::Loop& loop, PodNetwork& network, const TunnelOptions& options)
    : loop_(loop), network_(network), options_(options), scope_(loop) {}

TunnelPool::~TunnelPool() { CHECK(groups_.empty()); }

Task<TunnelResult<std::unique_ptr<http::H2Stream>>> TunnelPool::Connect(TunnelTarget target,
                                                                        http::Headers request,
                                                                        StopToken stop) {
  Deadline patience(loop_, stop, options_.request_timeout);
  GroupUse use(*this, std::move(target));
  for (bool again = false;; again = true) {
    CO_TRY(OpenStream open, co_await Request(use.group(), request, patience.token()));
    auto response = co_await open.stream->Response(patience.token());
    if (response && (*response)->status() == 200) {
      static_cast<void>(open.stream->TakeHeaders());  // It may live for long, and nobody reads them.
      co_return std::move(open.stream);
    }
    if (response) {
      const Failure failure{FailureReason::kTunnelRefused, FailureSide::kUpstream};
      co_return std::unexpected(
          TunnelFailure{failure, absl::StrCat("http status: ", (*response)->status())});
    }
    TunnelFailure failure = RequestFailure(response.error(), patience.token());
    if (!failure.failure.retryable || again) co_return std::unexpected(std::move(failure));
    open.stream.reset();
    // The tunnel may be gone by now, so it is looked for. A peer that refuses streams is left with
    // those it has.
    auto& tunnels = use.group().tunnels;
    if (std::find(tunnels.begin(), tunnels.end(), open.tunnel) != tunnels.end())
      open.tunnel->Retire();
    ++stats_.retried_total;
    if (options_.metrics != nullptr) options_.metrics->retried.Add();
  }
}

Task<TunnelResult<TunnelPool::OpenStream>> TunnelPool::Request(Group& group,
                                                               const http::Headers& request,
                                                               StopToken stop) {
  Opener opener;
  while (true) {
    if (closed_ || stop.requested()) co_return std::unexpected(Stopped(stop));
    if (opener.has_stream())
      co_return OpenStream{opener.first->tunnel, std::move(opener.first->stream)};
    if (Tunnel* tunnel = group.FindWithRoom(stats_.tunnels < options_.tunnels_max)) {
      auto stream = tunnel->Request(request);
      if (stream) co_return OpenStream{tunnel, *std::move(stream)};
      // A limit of this process, on windows for instance: another tunnel would not help.
      if (stream.error().is(io::IoCode::kLimit) && tunnel->CanOpen()) {
        co_return std::unexpected(TunnelFailure{
            {FailureReason::kOutOfMemory, FailureSide::kUpstream}, stream.error().ToString()});
      }
      tunnel->Retire();
      continue;
    }
    // Read first: an attempt can fail before it ever waits.
    const uint64_t failures_before = group.failures_total;
    if (!group.opening) CO_TRY_VOID(StartTunnel(group, opener.Begin(request)));
    while (group.opening && group.failures_total == failures_before && !opener.has_stream()) {
      if (!co_await group.changed.Wait(stop)) co_return std::unexpected(Stopped(stop));
    }
    // What has become of another's tunnel meanwhile is nothing to a request that is on its way.
    if (group.failures_total != failures_before && !opener.has_stream())
      co_return std::unexpected(*group.last_failure);
  }
}

TunnelResult<void> TunnelPool::StartTunnel(Group& group, std::shared_ptr<FirstRequest> first) {
  if (stats_.tunnels >= options_.tunnels_max) {
    return std::unexpected(
        TunnelFailure{{FailureReason::kTunnelLimit, FailureSide::kUpstream}, "too many tunnels"});
  }
  group.opening = true;
  ++group.users;
  TouchHeap(kTunnelHeapBytes);
  scope_.Spawn(RunTunnel(group, std::move(first)));
  return {};
}

Task<void> TunnelPool::RunTunnel(Group& group, std::shared_ptr<FirstRequest> first) {
  ++stats_.tunnels;
  ++stats_.attempts_total;
  if (options_.metrics != nullptr) {
    options_.metrics->tunnels.Add(1);
    options_.metrics->attempts.Add();
  }
  {
    Tunnel tunnel(loop_, network_, group.target, options_);
    auto opened = co_await tunnel.Open(*first, scope_.stop());
    group.opening = false;
    if (!opened) {
      group.Fail(std::move(opened.error()));
      // Without this, a peer that allows no streams would make us dial it in circles.
    } else if (!tunnel.TakesStreams()) {
      first->stream.reset();
      group.Fail(
          {{FailureReason::kStreamRefused, FailureSide::kUpstream}, "the peer allows no streams"});
      tunnel.Close();
    } else {
      group.tunnels.push_back(&tunnel);
      first->opened = true;
      if (closed_) tunnel.Close();
    }
    first.reset();
    group.changed.NotifyAll();
    if (opened) co_await tunnel.Serve(group.tunnels);
    std::erase(group.tunnels, &tunnel);
  }
  --stats_.tunnels;
  if (options_.metrics != nullptr) options_.metrics->tunnels.Add(-1);
  Unuse(group);
}

void TunnelPool::Unuse(Group& group) {
  if (--group.users == 0) groups_.erase(TunnelTarget(group.target));
}

void TunnelPool::RetireOthers(const tls::TlsContext* current) {
  for (auto& [target, group] : groups_) {
    if (target.context.get() == current) continue;
    for (Tunnel* tunnel : group->tunnels) tunnel->Retire();
  }
}

Task<void> TunnelPool::Close() {
  closed_ = true;
  scope_.RequestStop();
  for (auto& [target, group] : groups_) {
    for (Tunnel* tunnel : group->tunnels) tunnel->Close();
    group->changed.NotifyAll();
  }
  co_await scope_.Join();
}

}  // namespace heddle::agent
