#include "controlplane/testing/controller.h"

#include <absl/strings/str_cat.h>

#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "lib/http/http1_server.h"
#include "lib/io/socket.h"
#include "lib/tls/stream.h"

namespace heddle::controlplane {
namespace {

constexpr char kDiscovery[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

}  // namespace

Config Controller::ConfigFor(const TemporaryDirectory& config, const TemporaryDirectory& state) {
  Config made;
  made.config_dir = config.path();
  made.state_dir = state.path();
  made.serve.listen = *io::SocketAddress::Parse("127.0.0.1:0");
  made.serve.debug_listen = made.serve.listen;
  return made;
}

Controller::Controller(io::Loop& loop_in, std::string_view objects)
    : loop(loop_in),
      channel(loop, [this](StopToken stop) { return Connect(stop); },
              {.authority = "heddle-controller"}) {
  config.Replace("objects.yaml", objects);
  Start();
}

void Controller::Start() {
  auto created = App::Create(loop, ConfigFor(config, state));
  CHECK(created.ok());
  app = *std::move(created);
  running = std::make_unique<Scope>(loop);
  running->Spawn(app->Run(running->stop()));
}

Task<void> Controller::Restart() {
  co_await running->Drain();
  app.reset();
  Start();
}

Task<void> Controller::End() {
  co_await channel.Shutdown();
  co_await running->Drain();
}

std::string Controller::Token(const std::string& node) const {
  return state.Read("tokens/" + node).substr(0, ca::kNodeTokenDigits);
}

grpc::CallOptions Controller::As(const std::string& node) const {
  return {.metadata = {{"authorization", absl::StrCat("Bearer ", Token(node))}},
          .timeout = kTestTimeout};
}

Task<io::Result<std::unique_ptr<io::Stream>>> Controller::Connect(StopToken stop) {
  io::KernelNetwork network;
  io::ConnectOptions options{.to = app->address(), .bind = std::nullopt, .socket = UniqueFd()};
  CO_TRY(auto connection, co_await network.Connect(loop, std::move(options), stop));
  auto roots = tls::TrustRoots::FromPem(state.Read("root-cert.pem"));
  CHECK(roots.ok());
  tls::ContextOptions context_options;
  context_options.roots = *roots;
  context_options.alpn = {"h2"};
  auto context = tls::TlsContext::Create(std::move(context_options), clock_);
  CHECK(context.ok());
  auto stream =
      std::make_unique<tls::TlsStream>(loop, std::move(connection), *context, tls::Role::kClient,
                                       tls::HasDnsName{{"heddle-controller"}});
  CO_TRY_VOID(co_await stream->Handshake(stop));
  co_return std::unique_ptr<io::Stream>(std::move(stream));
}

Task<http::Http1Response> Controller::Get(std::string path) {
  co_return co_await GetPage(loop, app->debug_address(), std::move(path));
}

Task<http::Http1Response> GetPage(io::Loop& loop, io::SocketAddress address, std::string path) {
  io::KernelNetwork network;
  io::ConnectOptions options{.to = address, .bind = std::nullopt, .socket = UniqueFd()};
  auto connection = co_await network.Connect(loop, std::move(options), {});
  CHECK(connection.has_value());
  http::Http1Request request;
  request.method = "GET";
  request.path = std::move(path);
  auto response = co_await http::Http1Call(**connection, std::move(request), {});
  CHECK(response.has_value());
  co_return *std::move(response);
}

Task<absl::StatusOr<std::unique_ptr<Subscriber>>> Subscriber::Open(Controller& controller,
                                                                   std::string node,
                                                                   std::set<std::string> types,
                                                                   std::string claimed_node) {
  CO_TRY_ASSIGN(auto call, co_await controller.channel.Open(kDiscovery, controller.As(node), {}));
  for (const std::string& type : types) {
    envoy::service::discovery::v3::DeltaDiscoveryRequest request;
    request.set_type_url(type);
    (*request.mutable_node()->mutable_metadata()->mutable_fields())["NODE_NAME"].set_string_value(
        claimed_node.empty() ? node : claimed_node);
    const std::string bytes = request.SerializeAsString();
    CO_TRY_STATUS(co_await call->Send(bytes));
  }
  co_return std::unique_ptr<Subscriber>(new Subscriber(std::move(call)));
}

Task<std::optional<Subscriber::Response>> Subscriber::Next() {
  const std::optional<std::string> bytes = co_await call_->Receive();
  if (!bytes.has_value()) co_return std::nullopt;
  Response response;
  CHECK(response.ParseFromString(*bytes));
  envoy::service::discovery::v3::DeltaDiscoveryRequest ack;
  ack.set_type_url(response.type_url());
  ack.set_response_nonce(response.nonce());
  const std::string ack_bytes = ack.SerializeAsString();
  const absl::Status sent = co_await call_->Send(ack_bytes);
  CHECK(sent.ok());
  co_return response;
}

}  // namespace heddle::controlplane
