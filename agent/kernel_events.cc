#include "agent/kernel_events.h"

#include <poll.h>

#include "agent/node/bpf_counters.h"
#include "lib/base/log.h"
#include "lib/io/socket.h"

namespace heddle::agent {
namespace {

constexpr size_t kEventsPerTurn = 256;
constexpr absl::Duration kRetryPause = absl::Seconds(10);

io::SocketAddress AddressOf(const __u8 (&ip)[16], uint16_t port) {
  return {*io::IpAddress::FromBytes({ip, sizeof(ip)}), port};
}

void LogEvent(const hd_event& event) {
  LOG_DEBUG("kernel.event", KV("reason", StatName(event.reason)),
            KV("netns_cookie", event.netns_cookie),
            KV("source", AddressOf(event.src_ip, event.src_port)),
            KV("destination", AddressOf(event.dst_ip, event.dst_port)));
}

}  // namespace

KernelEvents::KernelEvents(io::Loop& loop, BpfEvents events, metrics::Registry& registry)
    : loop_(loop),
      events_(std::move(events)),
      failures_(registry, {"heddle_kernel_event_failures",
                           "Waits for events of the BPF programs that failed"}) {}

Task<void> KernelEvents::Run(StopToken stop) {
  while (!stop.requested()) {
    const auto ready = co_await io::WaitReady(loop_, events_.fd(), POLLIN, stop);
    if (stop.requested()) co_return;
    if (ready && (*ready & POLLIN) != 0) {
      events_.Read(kEventsPerTurn, LogEvent);
      continue;
    }
    failures_.Add();
    LOG_WARN("kernel.events.failed",
             KV("error", ready ? "the buffer is in error" : ready.error().ToString()));
    co_await loop_.Sleep(kRetryPause, stop);
  }
}

}  // namespace heddle::agent
