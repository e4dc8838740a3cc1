#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/failure.h"
#include "agent/policy/authorizer.h"
#include "agent/seams/pod_network.h"
#include "lib/base/stop.h"
#include "lib/io/address.h"

namespace heddle::agent {

class ConnectionTable;
struct PodContext;

// How a connection reached us, or leaves us.
enum class ConnectionKind : uint8_t { kOutbound, kInboundHbone, kInboundPlaintext };
std::string_view ToString(ConnectionKind kind);

// A connection that is being served: what operators may ask about it, what policy is asked about
// it, and how to end it. Lives in the frame of the coroutine that serves it; in the table from
// construction to destruction. There are very many: nothing here is text that somebody may want.
class TrackedConnection {
 public:
  TrackedConnection(ConnectionTable& table, ConnectionKind kind, PodContext& pod_context,
                    const io::SocketAddress& source);
  ~TrackedConnection();
  TrackedConnection(const TrackedConnection&) = delete;
  TrackedConnection& operator=(const TrackedConnection&) = delete;

  const CapturedPod& pod() const;
  // What an inbound connection is authorized with; empty before SetIdentity(). The identity it points to outlives the
  // connection.
  std::optional<ConnectionFacts> facts() const;
  // From now on the connection can be judged: actual_destination is known, and who the source is (nullptr: plaintext).
  void SetIdentity(const tls::SpiffeId* identity);
  const tls::SpiffeId* identity() const { return identity_; }

  const ConnectionKind kind;
  const io::SocketAddress source;
  std::optional<io::SocketAddress> original_destination;  // What the client connected to ...
  const std::string* authority = nullptr;  // ... or asked a tunnel for. Outlives the connection.
  std::optional<io::SocketAddress> actual_destination;  // Where we dialled.

  // Ends when the pod or the worker does, or policy no longer allows the connection.
  StopToken stop() { return stop_.token(); }
  void EndByPolicy();
  // Which of them it was, once stop() was requested.
  FailureReason stop_reason() const;

 private:
  friend class ConnectionTable;
  ConnectionTable& table_;
  const PodContext& pod_context_;
  uint64_t id_ = 0;
  LinkedStopSource stop_;
  const tls::SpiffeId* identity_ = nullptr;
  bool judged_ = false;
  bool ended_by_policy_ = false;
};

// The connections of one worker, in order of their arrival, so that a walk in slices misses none
// that was there when it began. One loop's only.
class ConnectionTable {
 public:
  // Visits at most `count` connections that arrived after the one with id `after` (0: from the
  // start). Returns the id of the last one, to go on with, or 0 when the end was reached.
  template <typename Visit>
  uint64_t VisitAfter(uint64_t after, size_t count, Visit visit) {
    for (auto it = connections_.upper_bound(after); it != connections_.end(); ++it) {
      if (count-- == 0) return after;
      after = it->first;
      visit(*it->second);
    }
    return 0;
  }
  size_t size() const { return connections_.size(); }

 private:
  friend class TrackedConnection;
  absl::btree_map<uint64_t, TrackedConnection*> connections_;
  uint64_t next_id_ = 1;
};

}  // namespace heddle::agent
