#include <benchmark/benchmark.h>

#include "lib/http/testing/session_pair.h"

namespace heddle::http {
namespace {

// Moves what `from` has to say to `to`, without the copies that SessionPair makes for tests.
bool Carry(H2Session& from, H2Session& to, std::vector<uint8_t>& space) {
  bool any = false;
  while (const size_t size = from.Output(space)) {
    any = true;
    to.Receive({space.data(), size});
    while (auto event = to.NextEvent()) {
      if (event->type == H2Event::Type::kData) to.Consumed(event->stream, event->data.size());
      if (event->type == H2Event::Type::kRequest) to.Respond(event->stream, kOk, false);
    }
  }
  while (from.NextEvent()) continue;
  return any;
}

void Exchange(H2Session& a, H2Session& b, std::vector<uint8_t>& space) {
  bool any = true;
  while (any) {
    any = Carry(a, b, space);
    any = Carry(b, a, space) || any;
  }
}

// One stream, opened, answered and ended in order: what a short connection costs both ends of a
// tunnel.
void OpenAndCloseStream(benchmark::State& state) {
  SystemClock clock;
  H2Session client(Role::kClient, {}, clock);
  H2Session server(Role::kServer, {}, clock);
  std::vector<uint8_t> space(64 * 1024);
  for (auto _ : state) {
    const StreamId id = *client.Open(kConnect, false);
    Exchange(client, server, space);
    client.EndWrite(id);
    server.EndWrite(id);
    Exchange(client, server, space);
    client.Release(id);
    server.Release(id);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(OpenAndCloseStream);

// Bytes through one stream, in writes of the argument's size.
void MoveBytes(benchmark::State& state) {
  SystemClock clock;
  H2Session client(Role::kClient, {}, clock);
  H2Session server(Role::kServer, {}, clock);
  std::vector<uint8_t> space(64 * 1024);
  const std::vector<uint8_t> body(static_cast<size_t>(state.range(0)), 'x');
  const StreamId id = *client.Open(kConnect, false);
  Exchange(client, server, space);
  for (auto _ : state) {
    client.Write(id, body);
    Exchange(client, server, space);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(MoveBytes)->Arg(1)->Arg(1024)->Arg(64 * 1024)->Arg(256 * 1024);

}  // namespace
}  // namespace heddle::http
