#include "agent/controller_channel.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <netdb.h>

#include <fstream>
#include <sstream>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/io/loop_pool.h"
#include "lib/io/socket.h"
#include "lib/tls/stream.h"

namespace heddle::agent {
namespace {

// A token is a few hundred bytes to a few KiB, a file of roots some tens of KiB.
constexpr size_t kFileBytesMax = 1024 * 1024;

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return absl::InvalidArgumentError(absl::StrCat(path, " is too large"));
  return text;
}

absl::StatusOr<std::shared_ptr<const tls::TlsContext>> MakeContext(const ControllerConfig& config,
                                                                   const Clock& clock) {
  TRY_ASSIGN(const std::string pem, ReadSmallFile(config.roots_file));
  tls::ContextOptions options;
  TRY_ASSIGN(options.roots, tls::TrustRoots::FromPem(pem));
  options.alpn = {"h2"};
  return tls::TlsContext::Create(std::move(options), clock);
}

// The first address of the host. Resolving blocks its loop, so it runs on a thread of its own.
Task<void> Resolve(const std::string& host, const std::string& port,
                   std::optional<io::SocketAddress>& found) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &list) == 0 && list != nullptr) {
    sockaddr_storage storage{};
    std::memcpy(&storage, list->ai_addr, list->ai_addrlen);
    found = io::SocketAddress::FromKernel(storage);
    ::freeaddrinfo(list);
  }
  co_return;
}

Task<std::optional<io::SocketAddress>> FindAddress(io::Loop& loop, const std::string& address) {
  if (const auto literal = io::SocketAddress::Parse(address)) co_return literal;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) co_return std::nullopt;
  const std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  std::optional<io::SocketAddress> found;
  io::LoopPool resolver(loop.clock(), 1, "hd-resolve",
                        io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  absl::AnyInvocable<Task<void>()> resolve = [&] { return Resolve(host, port, found); };
  co_await io::RunOn(loop, resolver.loop(0), std::move(resolve));
  co_return found;
}

using ConnectResult = io::Result<std::unique_ptr<io::Stream>>;

Task<ConnectResult> Connect(io::Loop& loop, const ControllerConfig& config, const Clock& clock,
                            StopToken stop) {
  auto context = MakeContext(config, clock);
  if (!context.ok()) {
    LOG_WARN("controller.roots.unusable", KV("file", config.roots_file),
             KV("error", context.status()));
    co_return std::unexpected(io::Error::Errno(ENOENT, io::Op::kConnect));
  }
  const auto address = co_await FindAddress(loop, config.address);
  if (!address) {
    LOG_WARN("controller.address.unknown", KV("controller", config.address));
    co_return std::unexpected(io::Error::Errno(EHOSTUNREACH, io::Op::kConnect));
  }
  io::KernelNetwork network;
  io::ConnectOptions options{.to = *address, .bind = std::nullopt, .socket = UniqueFd()};
  CO_TRY(auto connection, co_await network.Connect(loop, std::move(options), stop));
  auto stream =
      std::make_unique<tls::TlsStream>(loop, std::move(connection), *std::move(context),
                                       tls::Role::kClient, tls::HasDnsName{{config.server_name}});
  const auto done = co_await stream->Handshake(stop);
  if (!done) {
    LOG_WARN("controller.tls.failed", KV("controller", config.address),
             KV("error", stream->failure()));
    co_return std::unexpected(done.error());
  }
  co_return std::unique_ptr<io::Stream>(std::move(stream));
}

}  // namespace

grpc::Connector MakeControllerConnector(io::Loop& loop, const ControllerConfig& config,
                                        const Clock& clock) {
  return [&loop, &config, &clock](StopToken stop) { return Connect(loop, config, clock, stop); };
}

absl::StatusOr<grpc::Metadata> AuthorizationMetadata(const ControllerConfig& config,
                                                     const std::string& cluster_id) {
  TRY_ASSIGN(const std::string token, ReadSmallFile(config.token_file));
  grpc::Metadata metadata;
  metadata.Add("authorization", absl::StrCat("Bearer ", absl::StripAsciiWhitespace(token)));
  metadata.Add("clusterid", cluster_id);
  return metadata;
}

}  // namespace heddle::agent
