#include "lib/kube/connector.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/status.h"
#include "lib/io/resolve.h"
#include "lib/tls/stream.h"

namespace heddle::kube {
namespace {

using Connected = absl::StatusOr<std::unique_ptr<io::Stream>>;

absl::StatusOr<std::shared_ptr<const tls::TlsContext>> MakeContext(const ClusterAccess& access,
                                                                   const Clock& clock) {
  tls::ContextOptions options;
  options.alpn = {"h2"};
  TRY_ASSIGN(const std::string roots, Load(access.roots, "the server's roots"));
  auto trusted = tls::TrustRoots::FromPem(roots);
  if (!trusted.ok()) return Annotate(trusted.status(), "the server's roots");
  options.roots = *std::move(trusted);
  if (!access.client_key.empty()) {
    TRY_ASSIGN(const std::string chain, Load(access.client_certificate, "the client certificate"));
    TRY_ASSIGN(const std::string key, Load(access.client_key, "the client key"));
    auto parsed_chain = tls::ParseCertificatesPem(chain);
    if (!parsed_chain.ok()) return Annotate(parsed_chain.status(), "the client certificate");
    auto parsed_key = tls::PrivateKey::FromPem(key);
    if (!parsed_key.ok()) return Annotate(parsed_key.status(), "the client key");
    options.credential = tls::Credential{*std::move(parsed_chain), *std::move(parsed_key)};
  }
  return tls::TlsContext::Create(std::move(options), clock);
}

tls::PeerRule RuleFor(const std::string& server_name) {
  if (const auto address = io::IpAddress::Parse(server_name)) return tls::HasIpAddress{*address};
  return tls::HasDnsName{{server_name}};
}

absl::Status Failed(const char* what, const io::Error& error) {
  return absl::UnavailableError(absl::StrCat(what, error.ToString()));
}

// The first of the addresses that answers.
Task<absl::StatusOr<std::unique_ptr<io::Connection>>> Dial(io::Loop& loop, io::Network& network,
                                                           const ClusterAccess& access,
                                                           StopToken stop) {
  CO_TRY_ASSIGN(const std::vector<io::SocketAddress> addresses,
                co_await io::Resolve(loop, access.host, access.port));
  absl::Status failure;
  for (const io::SocketAddress& address : addresses) {
    io::ConnectOptions options{.to = address, .bind = std::nullopt, .socket = UniqueFd()};
    auto connection = co_await network.Connect(loop, std::move(options), stop);
    if (connection) co_return *std::move(connection);
    failure = Failed("", connection.error());
  }
  co_return failure;
}

Task<Connected> Connect(io::Loop& loop, io::Network& network, const Clock& clock,
                        const ClusterAccess& access, StopToken stop) {
  CO_TRY_ASSIGN(auto context, MakeContext(access, clock));
  CO_TRY_ASSIGN(auto connection, co_await Dial(loop, network, access, stop));
  auto stream = std::make_unique<tls::TlsStream>(loop, std::move(connection), std::move(context),
                                                 tls::Role::kClient, RuleFor(access.server_name));
  const auto done = co_await stream->Handshake(stop);
  if (!done && stream->failure().empty()) co_return Failed("TLS: ", done.error());
  if (!done) co_return absl::UnavailableError(absl::StrCat("TLS: ", stream->failure()));
  co_return std::unique_ptr<io::Stream>(std::move(stream));
}

}  // namespace

Connector MakeConnector(io::Loop& loop, io::Network& network, const Clock& clock,
                        ClusterAccess access) {
  return [&loop, &network, &clock, access = std::move(access)](StopToken stop) {
    return Connect(loop, network, clock, access, stop);
  };
}

ApiClientOptions ClientOptions(const ClusterAccess& access, std::string user_agent) {
  return {.authority = access.Authority(),
          .path_prefix = access.path_prefix,
          .user_agent = std::move(user_agent)};
}

}  // namespace heddle::kube
