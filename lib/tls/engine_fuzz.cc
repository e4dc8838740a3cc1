// A client and a server engine and a hostile network between them. The input is a list of steps,
// one byte each with its operands behind it (see Step). Whatever the network does, a side reads
// exactly a prefix of what the other wrote, in order, and a failed engine says why.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

// Made once: keys are random and what they sign is not what is being tested.
struct World {
  FakeClock clock;
  TestAuthority authority{clock};
  std::shared_ptr<const TlsContext> client = Make("sleep");
  std::shared_ptr<const TlsContext> server = Make("httpbin");

  std::shared_ptr<const TlsContext> Make(std::string_view account) {
    return authority.ContextWith({.credential = authority.Issue(MakeId("default", account)),
                                  .roots = authority.roots(),
                                  .alpn = {"h2"},
                                  .records_per_key = 4});
  }
};

struct Side {
  TlsEngine engine;
  std::vector<uint8_t> wire;  // On its way to this side.
  std::string written;
  std::string read;

  void Deliver(size_t n) {
    n = std::min(n, wire.size());
    read += heddle::tls::Deliver(std::span(wire).first(n), engine);
    wire.erase(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(n));
  }
  void Write(std::span<const uint8_t> data) {
    if (!engine.can_write()) return;
    const size_t n = engine.Write(data);
    written.append(reinterpret_cast<const char*>(data.data()), n);
  }
};

class Network {
 public:
  Network(World& world, std::span<const uint8_t> input)
      : client_{{world.client, Role::kClient, OneOfIdentities{{MakeId("default", "httpbin")}}}},
        server_{{world.server, Role::kServer, AnyInTrustDomain{"cluster.local"}}},
        input_(input) {}

  void Run() {
    while (!input_.empty()) {
      const uint8_t step = Take();
      Step(step, (step & 0x80) != 0 ? client_ : server_);
      Collect(client_, server_);
      Collect(server_, client_);
      Check(client_, server_);
      Check(server_, client_);
    }
  }

 private:
  uint8_t Take() {
    if (input_.empty()) return 0;
    const uint8_t byte = input_.front();
    input_ = input_.subspan(1);
    return byte;
  }
  std::span<const uint8_t> TakeBytes(size_t n) {
    const auto bytes = input_.first(std::min(n, input_.size()));
    input_ = input_.subspan(bytes.size());
    return bytes;
  }

  // The top bit says which side, the others what happens there.
  void Step(uint8_t step, Side& side) {
    switch (step & 0x7f) {
      case 'd': return side.Deliver(Take() * size_t{16});
      case 'a': return side.Deliver(SIZE_MAX);
      case 'b': return side.Deliver(1);
      case 'w': return side.Write(TakeBytes(Take()));
      case 'W': return side.Write(std::vector<uint8_t>(Take() * size_t{512}, 'x'));
      case 'c': return side.engine.CloseNotify();
      case 'e': return side.engine.ReceiveEof();
      case 'x': return Flip(side.wire, Take(), Take());
      case 'i': {
        const auto raw = TakeBytes(Take() * size_t{256} + Take());
        side.wire.insert(side.wire.begin(), raw.begin(), raw.end());
        return;
      }
      default: return;
    }
  }

  static void Flip(std::vector<uint8_t>& wire, size_t at, uint8_t bits) {
    if (at < wire.size()) wire[at] ^= bits;
  }

  static void Collect(Side& from, Side& to) {
    const auto output = from.engine.output();
    to.wire.insert(to.wire.end(), output.begin(), output.end());
    from.engine.ConsumeOutput(output.size());
  }

  static void Check(const Side& reader, const Side& writer) {
    CHECK(writer.written.starts_with(reader.read));
    CHECK((reader.engine.state() == TlsState::kFailed) == !reader.engine.failure().empty());
    if (reader.engine.state() == TlsState::kReadClosed) CHECK(reader.read == writer.written);
  }

  Side client_;
  Side server_;
  std::span<const uint8_t> input_;
};

}  // namespace
}  // namespace heddle::tls

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static heddle::tls::World world;
  heddle::tls::Network(world, {data, std::min<size_t>(size, 8192)}).Run();
  return 0;
}
