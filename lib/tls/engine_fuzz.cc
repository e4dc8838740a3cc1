// A client and a server engine and a hostile network between them. The input is a list of steps,
// one byte each with its operands behind it (see Step); 'p' and a number before them say who meets
// whom (see World). Whatever the network does, a side reads exactly a prefix of what the other
// wrote, in order, a side that must refuse the other never opens, and a failed engine says why.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

using Context = std::shared_ptr<const TlsContext>;

struct Meeting {
  Context client;
  PeerRule client_rule;
  Context server;
  PeerRule server_rule;
  std::optional<Role> refuses;  // This side does not accept what the other is.
};

// Made once: keys are random and what they sign is not what is being tested.
struct World {
  FakeClock clock;
  TestAuthority authority{clock};
  TestAuthority stranger{clock, "stranger"};
  const Context sleep = Make(authority.Issue(MakeId("default", "sleep")));
  const Context httpbin = Make(authority.Issue(MakeId("default", "httpbin")));
  const PeerRule wants_httpbin = OneOfIdentities{{MakeId("default", "httpbin")}};
  const PeerRule wants_domain = AnyInTrustDomain{"cluster.local"};
  const PeerRule wants_name = HasDnsName{{"controller.mesh.svc"}};
  const std::vector<Meeting> meetings = {
      {sleep, wants_httpbin, httpbin, wants_domain, {}},
      {sleep, wants_httpbin, sleep, wants_domain, Role::kClient},
      {sleep, wants_httpbin, httpbin, AnyInTrustDomain{"other.local"}, Role::kServer},
      {sleep,
       wants_name,
       Make(authority.Issue(DnsNames{{"controller.mesh.svc"}})),
       wants_domain,
       {}},
      {Make(std::nullopt), wants_httpbin, httpbin, NoCertificate{}, {}},
      {Make(std::nullopt), wants_httpbin, httpbin, wants_domain, Role::kServer},
      {Make(stranger.Issue(MakeId("default", "sleep"))), wants_httpbin, httpbin, wants_domain,
       Role::kServer},
      {Make(Spoiled(Flaw::kExpired)), wants_httpbin, httpbin, wants_domain, Role::kServer},
      {sleep, wants_httpbin, Make(Spoiled(Flaw::kNotForServers)), wants_domain, Role::kClient},
      {sleep, wants_httpbin, Make(Spoiled(Flaw::kSignsOthers)), wants_domain, Role::kClient},
      {Make(authority.Issue(MakeId("default", "sleep")), "h3"), wants_httpbin, httpbin,
       wants_domain, Role::kServer},
  };

  Context Make(std::optional<Credential> credential, std::string alpn = "h2") const {
    return authority.ContextWith({.credential = std::move(credential),
                                  .roots = authority.roots(),
                                  .alpn = {std::move(alpn)},
                                  .records_per_key = 4});
  }

  enum class Flaw : uint8_t { kExpired, kNotForServers, kSignsOthers };
  Credential Spoiled(Flaw flaw) const {
    PrivateKey key = PrivateKey::Generate();
    const std::string uri = MakeId("default", "httpbin").ToString();
    auto wanted = authority.LeafTemplate(key, {{SubjectAltName::Type::kUri, uri}});
    if (flaw == Flaw::kExpired) wanted.validity.not_after = clock.Wall() - absl::Minutes(1);
    wanted.extended_key_usages.server = flaw != Flaw::kNotForServers;
    wanted.is_ca = flaw == Flaw::kSignsOthers;
    return {{authority.Sign(wanted)}, std::move(key)};
  }
};

struct Side {
  TlsEngine engine;
  const bool refuses;
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
  Network(const Meeting& meeting, std::span<const uint8_t> input)
      : client_{{meeting.client, Role::kClient, meeting.client_rule},
                meeting.refuses == Role::kClient},
        server_{{meeting.server, Role::kServer, meeting.server_rule},
                meeting.refuses == Role::kServer},
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
    if (reader.refuses) CHECK(!reader.engine.handshake_done() && reader.read.empty());
    if (reader.engine.state() != TlsState::kOpen) return;
    CHECK(reader.engine.alpn() == "h2" && reader.engine.group() == "X25519");
    CHECK(reader.engine.cipher().starts_with("TLS_AES_"));
  }

  Side client_;
  Side server_;
  std::span<const uint8_t> input_;
};

void Run(std::span<const uint8_t> input) {
  static const World world;
  size_t meeting = 0;
  if (input.size() >= 2 && input[0] == 'p') {
    meeting = input[1] % world.meetings.size();
    input = input.subspan(2);
  }
  Network(world.meetings[meeting], input).Run();
}

}  // namespace
}  // namespace heddle::tls

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  heddle::tls::Run({data, std::min<size_t>(size, 8192)});
  return 0;
}
