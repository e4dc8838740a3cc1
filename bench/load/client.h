#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/crew.h"
#include "bench/load/usage.h"
#include "lib/io/address.h"

namespace heddle::bench {

enum class Workload : uint8_t {
  kUp,        // Bulk from the client to the server,
  kDown,      // and back.
  kExchange,  // Requests and answers of fixed sizes: one after the other, or at a fixed rate.
  kConnects,  // Connect, a byte each way, end; one after the other on each flow.
  kHold,      // Opens connections, one exchange on each, and keeps them until SIGTERM.
};

struct ClientOptions {
  Workload workload = Workload::kUp;
  io::SocketAddress server;
  size_t flows = 1;
  size_t workers = 1;
  absl::Duration warm_up = absl::Seconds(1);
  absl::Duration duration = absl::Seconds(5);
  size_t write_bytes = 256 * 1024;  // Of kUp.
  uint64_t request_bytes = 1;
  uint64_t response_bytes = 1;
  double rate = 0;         // Requests per second of all flows; 0: as fast as answers come.
  size_t connections = 0;  // Of kHold.
  std::vector<UsageSource> usage;
  std::string
      samples_file;  // Where each latency goes, as native int64 nanoseconds; empty: nowhere.
  io::BackendChoice backend = io::BackendChoice::kAuto;
};

// What all flows of a run know. The times are those of the monotonic clock.
struct Plan {
  ClientOptions options;
  MonotonicTime start, begin,
      end;  // Warm-up from start to begin, the measurement from begin to end.
  bool Counts(MonotonicTime time) const { return begin <= time && time < end; }
};

// One flow's results. The counters are read by the home thread while it runs, the rest when it has ended.
struct alignas(64) Flow {
  std::atomic<uint64_t> bytes = 0;       // Taken by the stream, or received.
  std::atomic<uint64_t> operations = 0;  // Answers, connections.
  std::vector<int64_t> samples;          // Latencies in ns of what counts.
  std::string error;                     // Empty, or why the flow is void.
};

// The workloads: one flow until the plan's end. `stop` is for what hangs.
Task<void> RunBulkUp(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop);
Task<void> RunBulkDown(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop);
Task<void> RunExchanges(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop);
Task<void> RunConnects(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop);

// One connection of kConnects, to its end; empty, or what was wrong.
Task<io::Result<std::string>> ConnectOnce(Member& member, io::ConnectOptions options, StopToken stop);

// Runs the workload and prints a JSON object; the exit code is 1 when any flow failed.
int RunClient(const ClientOptions& options);
// The workload kHold: prints {"event": "held", ...} once all are open, and waits for a signal.
int RunHold(const ClientOptions& options);

}  // namespace heddle::bench
