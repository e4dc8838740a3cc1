#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/grpc/client_call.h"
#include "lib/http/h2_client.h"

namespace heddle::grpc {

// Makes a connected stream (TCP, or TLS with ALPN h2) to the server; called when a call needs a
// connection.
using Connector = absl::AnyInvocable<Task<io::Result<std::unique_ptr<io::Stream>>>(StopToken stop)>;

struct ChannelOptions {
  std::string authority;  // The ":authority" of every call.
  std::string scheme = "https";
  size_t message_bytes_max = kMessageBytesMax;  // Of what the server sends.
  absl::Duration connect_timeout = absl::Seconds(10);
  http::H2ConnectionOptions connection;
};

struct CallOptions {
  Metadata metadata;
  absl::Duration timeout = absl::InfiniteDuration();  // Sent as grpc-timeout and enforced here.
};

// A client's way to one server: one connection, made when a call needs it and remade after it was
// lost. It does not retry calls and has no back-off: callers do. Threads: one loop. Call Shutdown()
// before destroying it.
class Channel {
 public:
  Channel(io::Loop& loop, Connector connector, ChannelOptions options);

  // One request, one response. `path` is "/package.Service/Method".
  Task<absl::StatusOr<std::string>> Call(std::string path, std::string request, CallOptions options,
                                         StopToken stop);
  // A streaming call; the response's headers have not been waited for. `stop` ends the call.
  Task<absl::StatusOr<std::unique_ptr<ClientCall>>> Open(std::string path, CallOptions options,
                                                         StopToken stop);

  // Ends the connection; waits for it. All calls must have been destroyed or be about to: they
  // fail.
  Task<void> Shutdown() { return client_.Shutdown(); }
  bool connected() const { return client_.connected(); }

 private:
  Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Dial(StopToken stop);
  http::Headers RequestHeaders(std::string path, const CallOptions& options) const;

  io::Loop& loop_;
  Connector connector_;
  const ChannelOptions options_;
  http::H2Client client_;
};

}  // namespace heddle::grpc
