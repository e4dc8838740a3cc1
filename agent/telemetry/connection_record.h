#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/failure.h"
#include "agent/model/service.h"
#include "agent/model/workload.h"
#include "agent/telemetry/relay_bytes.h"
#include "lib/base/clock.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

class WorkerTelemetry;

enum class Direction : uint8_t { kInbound, kOutbound };

// What a peer says about itself in its baggage, when the control plane does not know it. For labels
// only.
struct PeerClaim {
  std::string cluster;
  std::string name_space;
  std::string workload_name;
  std::string canonical_name;
  std::string canonical_revision;
};

// One end of a connection, as far as it is known.
struct RecordedPeer {
  std::optional<io::SocketAddress> address;
  WorkloadRef workload;  // What the control plane says; nullptr: unknown.
  std::unique_ptr<const PeerClaim> claim;  // nullptr where `workload` tells more, or nobody claims.
  // Of a source: verified by TLS. Of a destination: what TLS accepted. Outlives the record; nullptr: none.
  const tls::SpiffeId* identity = nullptr;
};

// The life of one connection for logs and metrics: born at accept, filled as facts arrive, written
// by its destructor, so that no way out can forget it. Metrics and access log come from the same
// record, so they cannot disagree.
//
// Open() once, when source and destination are known and before policy is asked. A record that was
// never opened leaves a warning and no traffic metrics. Whoever ends a connection says Complete()
// or Fail(); a record that nobody finished counts as closed by a drain. One loop's only.
class ConnectionRecord {
 public:
  ConnectionRecord(WorkerTelemetry& telemetry, Direction direction,
                   const io::SocketAddress& source);
  ~ConnectionRecord();
  ConnectionRecord(const ConnectionRecord&) = delete;
  ConnectionRecord& operator=(const ConnectionRecord&) = delete;

  RecordedPeer source;  // Its address and identity are also what an open inbound connection is judged by.
  RecordedPeer destination;
  ServiceRef service;         // nullptr: none, or unknown.
  std::string hbone_address;  // The authority of the CONNECT request.
  RelayBytes bytes;
  const Direction direction;
  bool mutual_tls = false;

  void Open();
  void Complete();
  // The first reason counts. `detail` is for the access log; empty: the reason's own sentence.
  void Fail(Failure failure, std::string detail = {});

  bool opened() const { return opened_; }
  const std::optional<Failure>& failure() const { return failure_; }
  // "-" while nothing has failed.
  std::string_view response_flags() const;
  std::string error() const;
  absl::Duration age() const;

 private:
  // Beside the last two above, because there are very many records.
  bool opened_ = false;
  bool completed_ = false;
  std::optional<Failure> failure_;
  WorkerTelemetry& telemetry_;
  const MonotonicTime born_;
  std::unique_ptr<const std::string> detail_;  // Most records have none for all their life.
};

}  // namespace heddle::agent
