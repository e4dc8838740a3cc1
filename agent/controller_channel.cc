#include "agent/controller_channel.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/io/resolve.h"
#include "lib/io/socket.h"
#include "lib/tls/stream.h"

namespace heddle::agent {
namespace {

// A token is a few hundred bytes to a few KiB, a file of roots some tens of KiB.
constexpr uint64_t kFileBytesMax = 1024 * 1024;

absl::StatusOr<std::shared_ptr<const tls::TlsContext>> MakeContext(const ControllerConfig& config,
                                                                   const Clock& clock) {
  TRY_ASSIGN(const std::string pem, ReadFile(config.roots_file, kFileBytesMax));
  tls::ContextOptions options;
  TRY_ASSIGN(options.roots, tls::TrustRoots::FromPem(pem));
  options.alpn = {"h2"};
  return tls::TlsContext::Create(std::move(options), clock);
}

// The first address of the host.
Task<absl::StatusOr<io::SocketAddress>> FindAddress(io::Loop& loop, const std::string& address) {
  if (const auto literal = io::SocketAddress::Parse(address)) co_return *literal;
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > UINT16_MAX)
    co_return absl::InvalidArgumentError("it is not host:port");
  CO_TRY_ASSIGN(const std::vector<io::SocketAddress> found,
                co_await io::Resolve(loop, address.substr(0, colon), static_cast<uint16_t>(port)));
  co_return found.front();
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
  if (!address.ok()) {
    LOG_WARN("controller.address.unknown", KV("controller", config.address),
             KV("error", address.status()));
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
  TRY_ASSIGN(const std::string token, ReadFile(config.token_file, kFileBytesMax));
  grpc::Metadata metadata;
  metadata.Add("authorization", absl::StrCat("Bearer ", absl::StripAsciiWhitespace(token)));
  metadata.Add("clusterid", cluster_id);
  return metadata;
}

}  // namespace heddle::agent
