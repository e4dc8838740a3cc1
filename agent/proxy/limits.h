#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

namespace heddle::agent {

// Every limit of the data plane, with the reason for its number. All of them are per worker unless
// they say otherwise.
struct ProxyLimits {
  // Connections of the whole process, relayed streams included. Each may hold two descriptors
  // (client and application), so this is at most half of RLIMIT_NOFILE; see ConnectionsFor().
  size_t connections_max = 32 * 1024;

  // A peer that does not finish its handshake is dropped after this long; a healthy one needs two
  // round trips.
  absl::Duration handshake_timeout = absl::Seconds(10);
  // A handshake costs about 0.3 ms of CPU and some 30 KiB: a flood of half-open ones must not hold
  // more than a few MiB.
  size_t handshakes_max = 256;
  // Of one source address: one silent peer must not hold the places of all. A gateway that starts
  // opens a tunnel from each of its threads.
  size_t handshakes_per_source_max = 64;

  // As long as a TCP dial is worth waiting for; Istio's proxy waits as long.
  absl::Duration connect_timeout = absl::Seconds(10);

  // A connection may arrive before its workload record or certificate does: pods connect as soon as
  // they run.
  absl::Duration state_wait_timeout = absl::Seconds(5);
  size_t state_waiters_max = 1024;

  // Streams that share one tunnel; more would share too small a part of one TCP connection, fewer
  // would each bear more of a tunnel's memory (some 40 KiB at each end). The peer may allow less.
  // A table of 512 places, as nghttp2 has one, takes so many before it is doubled.
  uint32_t tunnel_streams_max = 384;
  // Tunnels of one pod on one worker, whatever their peers.
  size_t tunnels_per_pod_max = 4096;
  // Long enough that a client which polls once a minute keeps its tunnel.
  absl::Duration tunnel_idle_timeout = absl::Minutes(5);

  // What peers may open at once on a tunnel to us: twice what our agents do, for a stream counts
  // here until its work has ended, and its peer may have reset it and opened the next by then.
  uint32_t inbound_streams_max = 768;

  // Bytes of HTTP/2 peers that wait for readers which do not take them, of the whole process: windows
  // stop growing at half of it, which is 32 stalled flows of the largest window.
  size_t held_bytes_max = size_t{256} << 20;

  // Connections that are asked again after a change of policy, in one turn of a loop: 64
  // evaluations take well below a millisecond even with hundreds of rules.
  size_t reevaluations_per_turn = 64;

  // How long connections may finish by themselves when the process drains.
  absl::Duration drain_timeout = absl::Seconds(25);
};

// What a process that may open `descriptors_max` descriptors can serve: two for each connection,
// and 1024 left for listeners, stocks of sockets, the control plane and files.
constexpr size_t ConnectionsFor(uint64_t descriptors_max) {
  constexpr uint64_t kReserved = 1024;
  return descriptors_max <= kReserved + 2 ? 1
                                          : static_cast<size_t>((descriptors_max - kReserved) / 2);
}

}  // namespace heddle::agent
