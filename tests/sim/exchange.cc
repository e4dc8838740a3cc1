#include "tests/sim/exchange.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

#include "lib/base/scope.h"

namespace heddle::sim {
namespace {

enum class From : uint8_t { kClient, kServer };

uint8_t ByteAt(uint64_t id, From from, uint64_t place) {
  uint64_t x = id * 0x9e3779b97f4a7c15u + place * 0xbf58476d1ce4e5b9u +
               static_cast<uint64_t>(from) * 0x94d049bb133111ebu;
  x ^= x >> 29;
  return static_cast<uint8_t>(x * 0x2545f4914f6cdd1du >> 56);
}

class Player {
 public:
  Player(io::Loop& loop, io::Stream& stream, uint64_t id, From self, const Script& script,
         Seen& seen)
      : loop_(loop),
        stream_(stream),
        id_(id),
        self_(self),
        script_(script),
        seen_(seen),
        read_ended_(loop) {}

  Task<void> Play() {
    Scope reading(loop_);
    reading.Spawn(ReadAll());
    co_await SendAll();
    co_await reading.Join();
    if (seen_.failed) stream_.Reset();
    seen_.ended = true;
  }

  void Receive(std::span<const uint8_t> bytes) {
    const From other = self_ == From::kClient ? From::kServer : From::kClient;
    for (const uint8_t byte : bytes) {
      if (byte != ByteAt(id_, other, seen_.received++)) seen_.wrong_bytes = true;
    }
  }

 private:
  Task<void> SendAll() {
    std::vector<uint8_t> block;
    const uint64_t stop_at = script_.ending == Ending::kReset ? script_.bytes / 2 : script_.bytes;
    for (uint64_t sent = 0; sent < stop_at;) {
      if (script_.pause > absl::ZeroDuration()) co_await loop_.Sleep(script_.pause, {});
      block.resize(std::min<uint64_t>(script_.block, stop_at - sent));
      for (size_t i = 0; i < block.size(); ++i) block[i] = ByteAt(id_, self_, sent + i);
      auto written = co_await stream_.Write(block, {});
      if (!written) co_return Fail();
      sent += block.size();
    }
    if (script_.ending == Ending::kReset) co_return Fail();
    if (script_.ending == Ending::kHalfCloseLast) co_await read_ended_.Wait({});
    if (seen_.failed) co_return;
    auto ended = co_await stream_.ShutdownWrite({});
    if (!ended) co_return Fail();
    seen_.sent_all = true;
  }

  Task<void> ReadAll() {
    co_await loop_.Sleep(script_.read_after, {});
    while (true) {
      auto block = co_await stream_.Read(io::BufferPool::kSmall, {});
      if (!block) {
        Fail();
        break;
      }
      if (block->empty()) {
        seen_.read_end = true;
        break;
      }
      Receive(block->bytes());
    }
    read_ended_.Set();
  }

  void Fail() {
    seen_.failed = true;
    stream_.Reset();
  }

  io::Loop& loop_;
  io::Stream& stream_;
  const uint64_t id_;
  const From self_;
  const Script& script_;
  Seen& seen_;
  Event read_ended_;
};

// Whether `seen` agrees with what the other end, playing `script`, has sent.
std::string ViolationOf(const Seen& seen, const Seen& other, const Script& script) {
  if (seen.wrong_bytes) return "bytes that were not sent";
  if (seen.received > script.bytes) return "more bytes than were sent";
  if (seen.read_end && seen.received != script.bytes) {
    return absl::StrCat("an orderly end after ", seen.received, " of ", script.bytes, " bytes");
  }
  if (seen.read_end && script.ending == Ending::kReset)
    return "an orderly end where the other end reset";
  if (seen.read_end && !other.sent_all && !other.failed) return "an end that nobody has sent";
  return {};
}

}  // namespace

Script RandomScript(Random& random) {
  Script script;
  script.bytes = random.OneIn(10) ? random.Below(2'000'000) : random.Below(20'000);
  script.block = random.OneIn(8) ? 1 + random.Below(64) : 1 + random.Below(100'000);
  if (script.block < 64) script.bytes = std::min<uint64_t>(script.bytes, 2000);
  if (random.OneIn(8)) {
    script.ending = Ending::kReset;
  } else if (random.OneIn(3)) {
    script.ending = Ending::kHalfCloseLast;
  }
  if (random.OneIn(5)) script.read_after = absl::Milliseconds(random.Below(5000));
  if (random.OneIn(6)) script.pause = absl::Milliseconds(random.Below(20));
  return script;
}

std::string EncodeId(uint64_t id) {
  std::string text(kIdBytes, '\0');
  std::memcpy(text.data(), &id, kIdBytes);
  return text;
}

Task<void> PlayClient(io::Loop& loop, io::Stream& stream, Exchange& exchange) {
  const std::string id = EncodeId(exchange.id);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(id.data()), id.size());
  auto written = co_await stream.Write(bytes, {});
  if (!written) {
    stream.Reset();
    exchange.client.failed = exchange.client.ended = true;
    co_return;
  }
  Player player(loop, stream, exchange.id, From::kClient, exchange.client_script, exchange.client);
  co_await player.Play();
}

Task<void> PlayServer(io::Loop& loop, io::Stream& stream, Exchange& exchange, std::string early) {
  Player player(loop, stream, exchange.id, From::kServer, exchange.server_script, exchange.server);
  player.Receive({reinterpret_cast<const uint8_t*>(early.data()), early.size()});
  co_await player.Play();
}

std::string Violation(const Exchange& exchange) {
  std::string at_client = ViolationOf(exchange.client, exchange.server, exchange.server_script);
  if (!at_client.empty())
    return absl::StrCat("exchange ", exchange.id, ": the client saw ", at_client);
  std::string at_server = ViolationOf(exchange.server, exchange.client, exchange.client_script);
  if (!at_server.empty())
    return absl::StrCat("exchange ", exchange.id, ": the server saw ", at_server);
  if (exchange.connected && !exchange.client.ended)
    return absl::StrCat("exchange ", exchange.id, ": the client never ended");
  if (exchange.accepted && !exchange.server.ended)
    return absl::StrCat("exchange ", exchange.id, ": the server never ended");
  return {};
}

}  // namespace heddle::sim
