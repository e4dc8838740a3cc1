// Two connections whose streams do by seed what streams can do: write, end, reset, go, stop in the
// middle of an operation; and whose transport is cut by seed. Whatever happens, everything ends,
// nothing is kept, and bytes that arrive are the right ones.

#include <gtest/gtest.h>

#include "lib/base/random.h"
#include "lib/http/testing/connection_pair.h"
#include "lib/io/testing/co_test.h"

namespace heddle::http {
namespace {

constexpr int kSeeds = 150;
constexpr size_t kStreams = 20;

// Byte i of every stream: whoever reads can check without having seen what was written.
uint8_t ByteAt(size_t i) { return static_cast<uint8_t>(i * 131 + i / 65537); }

std::vector<uint8_t> Chunk(size_t begin, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = ByteAt(begin + i);
  return bytes;
}

// Returns false when the stream is of no more use.
Task<bool> WriteSome(io::Stream& stream, Random& random, StopToken stop) {
  size_t sent = 0;
  for (uint64_t writes = random.Below(8); writes > 0; --writes) {
    const std::vector<uint8_t> bytes = Chunk(sent, random.Below(random.OneIn(4) ? 200'000 : 2'000));
    if (!co_await stream.Write(bytes, stop)) co_return false;
    sent += bytes.size();
  }
  co_return !random.OneIn(10) && (co_await stream.ShutdownWrite(stop)).has_value();
}

Task<void> ReadAndCheck(io::Stream& stream, Random& random, StopToken stop) {
  size_t received = 0;
  while (true) {
    // Two readers that only went away would leave both writers waiting for ever.
    if (random.OneIn(200)) co_return stream.Reset();
    auto read = co_await stream.Read(4096, stop);
    if (!read || read->empty()) co_return;
    for (const uint8_t byte : read->bytes()) {
      if (byte != ByteAt(received++)) {
        ADD_FAILURE() << "wrong byte at " << received - 1;
        co_return;
      }
    }
  }
}

// Both directions of one stream; it goes in the middle of everything when its deadline comes.
Task<void> Live(io::Loop& loop, std::unique_ptr<H2Stream> stream, Random& random) {
  Deadline deadline(
      loop, stream->aborted(),
      random.OneIn(5) ? absl::Microseconds(random.Below(3000)) : absl::InfiniteDuration());
  Scope scope(loop);
  scope.Spawn(ReadAndCheck(*stream, random, deadline.token()));
  const bool ended = co_await WriteSome(*stream, random, deadline.token());
  if (!ended || random.OneIn(10)) stream->Reset(ErrorCode::kCancel);
  co_await scope.Join();
}

Task<void> ServeAll(io::Loop& loop, H2ServerConnection& server, Random& random, Scope& scope) {
  while (auto stream = co_await server.Accept({})) {
    const bool refuse = random.OneIn(10);
    const Headers answer = {{":status", refuse ? "503" : "200"}};
    if (!stream->Respond(answer, refuse) || refuse) continue;
    scope.Spawn(Live(loop, std::move(stream), random));
  }
}

Task<void> Ask(io::Loop& loop, H2ClientConnection& client, Random& random) {
  for (uint64_t turns = random.Below(50); turns > 0; --turns) co_await loop.Yield();
  auto stream = client.Open(kConnect);
  if (!stream) co_return;
  auto response = co_await (*stream)->Response({});
  if (!response || (*response)->status() != 200) co_return;
  co_await Live(loop, *std::move(stream), random);
}

Task<void> CutByChance(io::Loop& loop, ConnectionPair& pair, Random& random) {
  if (!random.OneIn(3)) co_return;
  for (uint64_t turns = random.Below(400); turns > 0; --turns) co_await loop.Yield();
  (random.OneIn(2) ? pair.client_stop : pair.server_stop).RequestStop();
}

Task<void> RunSeed(io::Loop& loop, uint64_t seed) {
  SeededRandom random(seed);
  const io::PipeOptions pipe{.capacity = 1 + random.Below(100'000),
                             .read_max = 1 + random.Below(30'000)};
  H2ConnectionOptions options = PatientOptions();
  options.close_timeout = absl::Milliseconds(20);
  ConnectionPair pair(loop, pipe, options, options);
  Scope servers(loop);
  Scope clients(loop);
  servers.Spawn(ServeAll(loop, pair.server, random, servers));
  clients.Spawn(CutByChance(loop, pair, random));
  for (size_t i = 0; i < kStreams; ++i) clients.Spawn(Ask(loop, pair.client, random));
  co_await clients.Join();
  co_await pair.End();
  co_await servers.Join();
}

CO_TEST(H2ConnectionChaos, EverythingEndsAndNothingIsKept) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    co_await RunSeed(loop, seed);
    EXPECT_EQ(loop.buffers().stats().in_use_bytes, 0u);
  }
}

}  // namespace
}  // namespace heddle::http
