#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "agent/hbone/tunnel.h"
#include "agent/model/failure.h"
#include "agent/policy/authorizer.h"
#include "agent/proxy/relay.h"
#include "agent/proxy/worker_loads.h"
#include "agent/seams/pod_network.h"
#include "agent/telemetry/connection_record.h"
#include "lib/base/frame_allocator.h"
#include "lib/base/scope.h"
#include "lib/io/address.h"
#include "lib/io/stream.h"

namespace heddle::agent {

struct PodContext;
class Worker;

// How a connection reached us, or leaves us.
enum class ConnectionKind : uint8_t { kOutbound, kInboundHbone, kInboundPlaintext };
std::string_view ToString(ConnectionKind kind);

// Dials are ended by a deadline, by a stop, or by the network.
TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to);

// A connection that is being served: what operators may ask about it, what policy is asked about
// it, how to end it, and its relay. There are very many and most are parked, so this is all that is
// kept of one: nothing here is text that somebody may want, and what comes before the relay is in
// the frames of whoever sets it up.
//
// In the worker's table from construction to destruction, and counted by its scope. Owned by whoever
// sets it up until Carry(), then by itself. One loop's only.
class ServedConnection final : public ParkingRelay {
 public:
  // `scope` stops with the pod's connections, and is joined before `worker` and `pod` go.
  ServedConnection(Worker& worker, PodContext& pod, Scope& scope, ConnectionKind kind,
                   const io::SocketAddress& source, ConnectionPlace place);
  ~ServedConnection();
  ServedConnection(const ServedConnection&) = delete;
  ServedConnection& operator=(const ServedConnection&) = delete;
  // Of frames: one that ends leaves no hole between what stays.
  static void* operator new(size_t size) { return AllocateLongLivedFrame(size); }
  static void operator delete(void* connection, size_t size) noexcept { FreeFrame(connection, size); }

  // Relays between `client` and `server`, which are set, until both directions have ended.
  static void Carry(std::unique_ptr<ServedConnection> connection);

  // What an inbound connection is judged by, from record.Open() on; before, and for outbound ones,
  // empty. `actual_destination` is known by then, and record.source.identity, to which it points
  // (nullptr: plaintext).
  std::optional<ConnectionFacts> facts() const;

  // Ends when the pod or the worker does, or policy no longer allows the connection.
  StopToken stop() { return stop_.token(); }
  void EndByPolicy();
  // Which of them it was, once stop() was requested.
  FailureReason stop_reason() const;
  // A failure from before the relay as its record says it. Waits that were stopped say kPodReleased;
  // here is known who asked: policy, the end of the pod, a drain, or the client's own end of its
  // stream.
  Failure Explain(const Failure& failure) const;
  void RecordFailure(TunnelFailure failure);

 private:
  RelayParts parts() override;
  void OnEnd(const std::optional<RelayFailure>& failure) override;
  Failure RelayEnd(const RelayFailure& failure) const;

  // In this order it is 416 bytes: small things are where the base leaves room.
  bool ended_by_policy_ = false;

 public:
  const ConnectionKind kind;
  std::optional<io::SocketAddress> original_destination;  // What an application connected to.
  std::optional<io::SocketAddress> actual_destination;    // Where we dialled.
  Worker& worker;
  PodContext& pod;
  ConnectionRecord record;
  std::unique_ptr<io::Stream> client;
  std::unique_ptr<io::Stream> server;

 private:
  const uint64_t id_;
  const ConnectionPlace place_;
  LinkedStopSource stop_;
};

}  // namespace heddle::agent
