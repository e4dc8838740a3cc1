#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/scope.h"
#include "lib/grpc/framing.h"
#include "lib/grpc/metadata.h"
#include "lib/http/h2_connection.h"

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

// One call under way on the client, bidirectional: messages are bytes. Destroy it before its
// channel has ended; destroying it before the end cancels the call. At most one Send and one
// Receive at a time.
class ClientCall {
 public:
  ClientCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, const ChannelOptions& options,
             absl::Duration timeout, StopToken stop);
  ~ClientCall();

  // Sends a message; waits for room (flow control). On an error the call is over: Finish() tells
  // why.
  Task<absl::Status> Send(std::string_view message);
  // No more messages from us.
  Task<absl::Status> HalfClose();
  // The next message; empty when the call is over: Finish() tells how.
  Task<std::optional<std::string>> Receive();
  // Waits for the end and returns the call's status. Messages not received are dropped.
  Task<absl::Status> Finish();
  // Ends the call now: CANCELLED.
  void Cancel();

  // The server's initial metadata, empty before the first Receive() or Finish() has returned.
  const Metadata& initial_metadata() const;
  const Metadata& trailing_metadata() const;

 private:
  Task<absl::Status> ReadHeaders();
  Task<std::optional<absl::Status>> ReadMore();
  void End(absl::Status status);

  std::unique_ptr<http::H2Stream> stream_;
  Deadline deadline_;
  MessageReader reader_;
  io::Buffer unread_;
  std::string message_;  // Being sent.
  bool headers_read_ = false;
  std::optional<absl::Status> status_;
};

// A client's way to one server: one connection, made when a call needs it and remade after it was
// lost. It does not retry calls and has no back-off: callers do. Threads: one loop. Call Shutdown()
// before destroying it.
class Channel {
 public:
  Channel(io::Loop& loop, Connector connector, ChannelOptions options);
  ~Channel();

  // One request, one response. `path` is "/package.Service/Method".
  Task<absl::StatusOr<std::string>> Call(std::string path, std::string request, CallOptions options,
                                         StopToken stop);
  // A streaming call; the response's headers have not been waited for. `stop` ends the call.
  Task<absl::StatusOr<std::unique_ptr<ClientCall>>> Open(std::string path, CallOptions options,
                                                         StopToken stop);

  // Ends the connection; waits for it. All calls must have been destroyed or be about to: they
  // fail.
  Task<void> Shutdown();
  bool connected() const { return connection_ != nullptr && connection_->usable(); }

 private:
  Task<absl::StatusOr<http::H2ClientConnection*>> Connection(StopToken stop);
  Task<void> RunConnection(std::unique_ptr<http::H2ClientConnection> connection);

  io::Loop& loop_;
  Connector connector_;
  const ChannelOptions options_;
  http::H2ClientConnection* connection_ = nullptr;  // Owned by its RunConnection.
  bool connecting_ = false;
  WaitQueue connect_ended_;
  Scope scope_;
};

}  // namespace heddle::grpc
