#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>

#include "lib/http/h2_client.h"
#include "lib/io/loop.h"
#include "lib/kube/bearer_token.h"
#include "lib/kube/object.h"

namespace heddle::kube {

// Makes a connected stream (TLS with ALPN h2) to the API server; its error is a sentence.
using Connector = http::Dial;

struct ApiRequest {
  std::string method = "GET";
  std::string path;          // With the query: "/api/v1/pods?limit=500".
  std::string body;          // None when empty.
  std::string content_type;  // Of the body.
  std::string accept = "application/json";
};

// An answer with all of its body.
struct ApiAnswer {
  int status = 0;  // As HTTP counts.
  std::string body;
  absl::Duration retry_after;  // Zero: the server asks for nothing.
};

// An answer whose body goes on: a watch. Destroying it ends the request. Destroyed before its client
// has shut down.
class ApiStream {
 public:
  ApiStream(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, absl::Duration timeout,
            StopToken stop);

  int status() const { return stream_->headers().status(); }
  absl::Duration retry_after() const;
  // The next bytes; an empty buffer is the orderly end.
  Task<absl::StatusOr<io::Buffer>> Read();
  // The rest of the body; RESOURCE_EXHAUSTED when it is longer.
  Task<absl::StatusOr<std::string>> ReadAll(size_t bytes_max);

 private:
  friend class ApiClient;
  Deadline deadline_;
  std::unique_ptr<http::H2Stream> stream_;
};

struct ApiClientOptions {
  std::string authority;    // "10.96.0.1:443", see ClusterAccess.
  std::string path_prefix;  // See ClusterAccess.
  std::string user_agent = "heddle";
  // For a page of 500 objects of 10 KiB six times; a reflector asks for smaller pages above it.
  size_t body_bytes_max = size_t{32} * 1024 * 1024;
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration call_timeout = absl::Seconds(60);
  http::H2ConnectionOptions connection;
};

// A client's way to one API server: one HTTP/2 connection for all requests and watches, made when a
// request needs it and remade after it was lost. It does not retry and has no back-off: callers do.
// An answer 401 makes it read the token anew and connect again, because client certificates rotate
// as well. Errors are for transport alone, UNAVAILABLE as a rule; what the server answers is an
// answer. Threads: one loop. Call Shutdown() before destroying it.
class ApiClient {
 public:
  ApiClient(io::Loop& loop, Connector connector, BearerToken token, ApiClientOptions options);

  // A request and its whole answer.
  Task<absl::StatusOr<ApiAnswer>> Call(ApiRequest request, StopToken stop);
  // A request whose answer goes on after its headers. `timeout` is for all of it.
  Task<absl::StatusOr<std::unique_ptr<ApiStream>>> Open(ApiRequest request, absl::Duration timeout,
                                                        StopToken stop);

  // Ends the connection; waits for it. All streams must have been destroyed or be about to: they
  // fail.
  Task<void> Shutdown() { return client_.Shutdown(); }

  // Waits until a connection has been made, by whichever request, or `patience` is over: for those
  // who failed for want of one. False when stopped.
  Task<bool> AwaitConnection(absl::Duration patience, StopToken stop) {
    return client_.AwaitConnection(patience, stop);
  }

  size_t body_bytes_max() const { return options_.body_bytes_max; }

 private:
  absl::StatusOr<http::Headers> RequestHeaders(const ApiRequest& request);
  Task<absl::StatusOr<std::unique_ptr<http::H2Stream>>> Send(http::H2ClientConnection& connection,
                                                             const ApiRequest& request,
                                                             StopToken stop);
  void OnUnauthorized(http::H2ClientConnection* connection);

  io::Loop& loop_;
  BearerToken token_;
  const ApiClientOptions options_;
  http::H2Client client_;
};

// The sentence for an answer that is not a success, with what the server says.
absl::Status StatusOf(const ApiRequest& request, const ApiAnswer& answer);

}  // namespace heddle::kube
