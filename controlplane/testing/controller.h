#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "controlplane/app.h"
#include "controlplane/ca/node_tokens.h"
#include "lib/base/testing/temporary_directory.h"
#include "lib/grpc/channel.h"
#include "lib/http/http1_message.h"
#include "proto/discovery.pb.h"

namespace heddle::controlplane {

// For what a test waits for at most; it never takes that long.
inline constexpr absl::Duration kTestTimeout = absl::Seconds(20);

// GET of a page of a debug port.
Task<http::Http1Response> GetPage(io::Loop& loop, io::SocketAddress address, std::string path);

// A controller on loopback with directories of its own, and what is needed to speak to it as an
// agent does: TCP, TLS that verifies its name, gRPC.
class Controller {
 public:
  // `objects` are the first file's.
  Controller(io::Loop& loop, std::string_view objects);
  // At the end of each test, with all calls destroyed.
  Task<void> End();

  // Ends the program and starts it again in the same directories; it gets other ports.
  Task<void> Restart();

  // The node's token, as it would be carried there.
  std::string Token(const std::string& node) const;
  grpc::CallOptions As(const std::string& node) const;
  // GET of the debug port.
  Task<http::Http1Response> Get(std::string path);

  static Config ConfigFor(const TemporaryDirectory& config, const TemporaryDirectory& state);

  io::Loop& loop;
  TemporaryDirectory config;
  TemporaryDirectory state;
  std::unique_ptr<App> app;
  grpc::Channel channel;
  std::unique_ptr<Scope> running;

 private:
  void Start();
  Task<io::Result<std::unique_ptr<io::Stream>>> Connect(StopToken stop);
  SystemClock clock_;
};

// An agent's side of a delta stream.
class Subscriber {
 public:
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

  // Opens the stream and subscribes to these types.
  static Task<absl::StatusOr<std::unique_ptr<Subscriber>>> Open(Controller& controller,
                                                                std::string node,
                                                                std::set<std::string> types,
                                                                std::string claimed_node = "");
  // The next response, acknowledged. None: the stream has ended.
  Task<std::optional<Response>> Next();
  grpc::ClientCall& call() { return *call_; }

 private:
  explicit Subscriber(std::unique_ptr<grpc::ClientCall> call) : call_(std::move(call)) {}
  std::unique_ptr<grpc::ClientCall> call_;
};

}  // namespace heddle::controlplane
