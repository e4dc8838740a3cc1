#include "cli/fetch.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "lib/base/status.h"
#include "lib/http/http1_server.h"
#include "lib/io/socket.h"

namespace heddle::cli {
namespace {

absl::StatusOr<std::unique_ptr<io::Connection>> ConnectUnix(io::Loop& loop,
                                                            const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(absl::StrCat(path, " is too long for a socket"));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::InternalError(absl::StrCat("socket: ", std::strerror(errno)));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  return io::MakeConnection(loop, std::move(fd));
}

Task<absl::StatusOr<std::unique_ptr<io::Connection>>> Connect(io::Loop& loop, const Source& source,
                                                              StopToken stop) {
  if (!source.unix_path.empty()) co_return ConnectUnix(loop, source.unix_path);
  const auto address = io::SocketAddress::Parse(source.address);
  if (!address) {
    co_return absl::InvalidArgumentError(
        absl::StrCat("'", source.address, "' is not an address such as 127.0.0.1:15014"));
  }
  io::KernelNetwork network;
  io::ConnectOptions options{.to = *address, .bind = std::nullopt, .socket = UniqueFd()};
  auto connected = co_await network.Connect(loop, std::move(options), stop);
  if (!connected)
    co_return absl::UnavailableError(
        absl::StrCat(source.address, ": ", connected.error().ToString()));
  co_return *std::move(connected);
}

Task<absl::StatusOr<std::string>> Get(io::Loop& loop, const Source& source, const std::string& path,
                                      absl::Duration patience) {
  Deadline deadline(loop, {}, patience);
  auto connection = co_await Connect(loop, source, deadline.token());
  if (!connection.ok()) {
    co_return Annotate(connection.status(), "cannot reach ", source.what,
                       "; is it running, and are you root on its node? (",
                       "--help shows how to name another one)");
  }
  http::Http1Request request{
      .method = "GET", .path = path, .query = "", .content_length = 0, .body = ""};
  auto response = co_await http::Http1Call(**connection, std::move(request), deadline.token());
  if (!response)
    co_return absl::UnavailableError(
        absl::StrCat(source.what, " gave no answer: ", response.error().reason));
  if (response->status != 200) {
    co_return absl::InternalError(
        absl::StrCat(source.what, " answered ", response->status, ": ",
                     std::string(absl::StripSuffix(response->body, "\n"))));
  }
  co_return std::move(response->body);
}

Task<void> Store(io::Loop& loop, const Source& source, const std::string& path,
                 absl::Duration patience, absl::StatusOr<std::string>& out) {
  out = co_await Get(loop, source, path, patience);
}

}  // namespace

absl::StatusOr<std::string> Fetch(const Source& source, const std::string& path,
                                  absl::Duration patience) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  absl::StatusOr<std::string> answer = absl::InternalError("no answer");
  loop.RunUntilDone(Store(loop, source, path, patience, answer));
  return answer;
}

}  // namespace heddle::cli
