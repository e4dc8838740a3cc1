#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/wait_queue.h"
#include "lib/io/network.h"

namespace heddle::io {

class FakeHost;
class FakeNetwork;

// One direction of a simulated connection: bytes under way, which arrive in order after a delay, then bytes
// that have arrived and wait for the reader. A reset travels as bytes do; what came before it can still be
// read, as with the kernel.
class FakeWire final : public ListNode, private Timer {
 public:
  FakeWire(FakeNetwork& network, FakeHost& from, FakeHost& to) : network_(network), from_(from), to_(to) {}
  ~FakeWire() = default;

  enum class Kind : uint8_t { kData, kEnd, kReset };
  void Send(Kind kind, std::span<const uint8_t> bytes);
  // Goes on after a partition.
  void Resume();
  // Takes at most room.size() bytes that have arrived.
  size_t Take(std::span<uint8_t> room);
  // Bytes that the writer may still send.
  size_t Room() const;

  FakeWire* reverse = nullptr;
  uint64_t id = 0;
  std::deque<uint8_t> arrived;
  bool end_arrived = false;
  bool reset_arrived = false;
  bool end_sent = false;
  bool reader_gone = false;
  std::optional<WaitQueue> reader;  // There once the reading end belongs to a loop.
  ReadWatcher* watcher = nullptr;   // Of the reading end.
  std::optional<WaitQueue> writer;

 private:
  struct Segment {
    MonotonicTime arrives;
    Kind kind = Kind::kData;
    std::string bytes;
  };
  void OnTimer() override;
  void Arrive(Segment segment);

  FakeNetwork& network_;
  FakeHost& from_;
  FakeHost& to_;
  std::deque<Segment> under_way_;
  size_t bytes_under_way_ = 0;
};

// A simulated connection: its two directions and addresses. The ends share it.
struct FakeLink {
  FakeLink(FakeNetwork& network, FakeHost& client_host, FakeHost& server_host);

  FakeNetwork& network;
  FakeWire forth;  // From client to server.
  FakeWire back;
  SocketAddress client;
  SocketAddress server;
};

std::unique_ptr<Connection> MakeClientEnd(Loop& loop, std::shared_ptr<FakeLink> link);
// The server's end before it belongs to a loop; destroying it resets the connection.
std::unique_ptr<AcceptedConnection> MakeServerEnd(std::shared_ptr<FakeLink> link);

}  // namespace heddle::io
