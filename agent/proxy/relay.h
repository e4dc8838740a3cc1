#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "agent/telemetry/relay_bytes.h"
#include "lib/base/scope.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/io/stream.h"

namespace heddle::agent {

// Bytes that one direction of a relay moves before it lets everything else on the loop run: about
// 0.2 ms of AES-GCM and copies, so that a turn with several bulk flows stays below the 2 ms that a
// loop may take.
inline constexpr size_t kRelayBytesPerTurn = 256 * 1024;

// While a direction cannot read from its sender, because the other side does not take what it has
// or because the sender has ended, a reset of the sender is looked for after this long. Until then
// nothing is spent on it: most such times are short.
inline constexpr absl::Duration kSenderWatchDelay = absl::Seconds(1);

// A relay in which nothing has come from either side for this long (and at most twice that) is parked: its reads are
// stopped and its frames go, until one of the streams has something to read.
inline constexpr absl::Duration kParkDelay = absl::Milliseconds(500);

enum class RelaySide : uint8_t { kClient, kServer };

// What ended a relay that did not end by itself.
struct RelayFailure {
  io::Error error;
  RelaySide side = RelaySide::kClient;  // The stream on which it happened.
};

// Moves bytes between two streams until both directions have ended, each by itself: an orderly end
// of one is passed on as an orderly end (FIN <-> END_STREAM) while the other direction goes on, and
// any failure of a stream (a reset, a lost tunnel, an end without its announcement) is passed on as
// a reset of both, never as an orderly end: at once, or for a sender that is not being read from
// within 3 * kSenderWatchDelay. It reads only after the other side has taken the last
// block: that is the back-pressure, and no buffer is held while it waits for bytes. While both directions are open and
// neither has bytes for long it is parked.
//
// Both streams, `bytes` and the stop token outlive the task. On return nothing is under way on
// either stream, and unless both directions ended in order both have been reset. A stop resets
// both.
Task<std::optional<RelayFailure>> Relay(io::Loop& loop, io::Stream& client, io::Stream& server,
                                        RelayBytes& bytes, StopToken stop);

// What there is between two streams; all of it outlives the relay.
struct RelayParts {
  io::Loop& loop;
  io::Stream& client;
  io::Stream& server;
  RelayBytes& bytes;
  StopToken stop;
};

// The same without a task that waits for it, as the proxy has its connections: the base of what is kept of one. While
// it is parked there is no frame and no buffer, only that.
//
// Lifetime: it runs from Begin() to OnEnd(), and its scope counts it from its construction to its destruction.
class ParkingRelay : private io::ReadWatcher, private StopCallback, private Runnable {
 public:
  // Once.
  void Begin();

 protected:
  explicit ParkingRelay(Scope& scope) : hold_(scope) {}
  ~ParkingRelay() = default;

 private:
  virtual RelayParts parts() = 0;
  // It has ended, as Relay() returns it. Nothing of the relay is used any more: it may be destroyed here.
  virtual void OnEnd(const std::optional<RelayFailure>& failure) = 0;

  // From the beginning or a wake-up to the end or until it is parked.
  Task<void> Go();
  void Park();
  void EndWatches();
  void OnReadable() override;
  void OnStop(StopReason) noexcept override { EndWatches(); }
  void Run() override { hold_.scope().Spawn(Go()); }

  ScopeHold hold_;
  int watches_ = 0;  // While it is parked: streams that have not told yet.
};

// Whether an end of a relay is part of an application's normal life and so no failure of the
// connection in logs and metrics: applications, load balancers and probes end connections by a
// reset all the time, and Istio's proxy reports it so too. The streams see a reset in any case. A
// tunnel that breaks is not an application's doing.
bool IsOrderlyClose(const io::Error& error);

}  // namespace heddle::agent
