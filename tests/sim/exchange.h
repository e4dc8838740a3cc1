#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/io/stream.h"

namespace heddle::sim {

// How an application's end of a connection ends.
enum class Ending : uint8_t {
  kHalfCloseFirst,  // Sends everything, ends its direction, reads on.
  kHalfCloseLast,   // Ends its direction after the other has ended.
  kReset,           // Resets in the middle of sending.
};

// What one end does: sends `bytes` in blocks of at most `block`, with pauses, and reads after
// `read_after`.
struct Script {
  uint64_t bytes = 0;
  size_t block = 1;
  Ending ending = Ending::kHalfCloseFirst;
  absl::Duration read_after;
  absl::Duration pause;  // Before each block.
};
Script RandomScript(Random& random);

// What one end has seen.
struct Seen {
  uint64_t received = 0;
  bool wrong_bytes = false;  // Something else than what the other end sent at that place.
  bool read_end = false;     // An orderly end.
  bool sent_all = false;     // And ended its direction in order.
  bool failed = false;       // Any operation failed, or it reset the connection itself.
  bool ended = false;
};

// One connection between two applications. The bytes that an end sends are a function of `id`, the
// direction and the place, so that bytes of another connection, or out of order, are seen at once.
struct Exchange {
  uint64_t id = 0;
  size_t client_pod = 0;
  std::vector<size_t> server_pods;  // Any of these may serve it.
  Script client_script, server_script;
  bool connected = false;
  bool accepted = false;
  Seen client, server;
};

// The first bytes of a connection tell the server which exchange it is.
inline constexpr size_t kIdBytes = 8;
std::string EncodeId(uint64_t id);

// Plays one end to its end. Both streams and exchange outlive it.
Task<void> PlayClient(io::Loop& loop, io::Stream& stream, Exchange& exchange);
// `early` is what was read together with the id.
Task<void> PlayServer(io::Loop& loop, io::Stream& stream, Exchange& exchange, std::string early);

// What must hold for every exchange, whatever went wrong; empty when it does, else what was broken.
std::string Violation(const Exchange& exchange);

}  // namespace heddle::sim
