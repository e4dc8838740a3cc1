#include "lib/io/resolve.h"

#include <absl/strings/str_cat.h>
#include <netdb.h>

#include <cstring>

#include "lib/io/loop_pool.h"

namespace heddle::io {
namespace {

using Resolved = absl::StatusOr<std::vector<SocketAddress>>;

Resolved Look(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot resolve ", host, ": ", ::gai_strerror(error)));
  }
  std::vector<SocketAddress> found;
  for (const addrinfo* at = list; at != nullptr && found.size() < kMaxResolvedAddresses;
       at = at->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, at->ai_addr, at->ai_addrlen);
    if (const auto address = SocketAddress::FromKernel(storage)) found.push_back(*address);
  }
  ::freeaddrinfo(list);
  if (found.empty()) return absl::UnavailableError(absl::StrCat(host, " has no address"));
  return found;
}

Task<void> LookOn(const std::string& host, uint16_t port, Resolved& out) {
  out = Look(host, port);
  co_return;
}

}  // namespace

Task<Resolved> Resolve(Loop& loop, std::string host, uint16_t port) {
  if (const auto literal = IpAddress::Parse(host))
    co_return std::vector<SocketAddress>{{*literal, port}};
  Resolved found = absl::UnknownError("not resolved");
  LoopPool resolver(loop.clock(), 1, "hd-resolve", LoopOptions{.backend = BackendChoice::kEpoll});
  absl::AnyInvocable<Task<void>()> look = [&] { return LookOn(host, port, found); };
  co_await RunOn(loop, resolver.loop(0), std::move(look));
  co_return found;
}

}  // namespace heddle::io
