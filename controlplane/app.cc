#include "controlplane/app.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "controlplane/authentication.h"
#include "controlplane/ca/certificate_authority.h"
#include "controlplane/ca/certificate_service.h"
#include "controlplane/ca/node_tokens.h"
#include "controlplane/callers/token_reviewer.h"
#include "controlplane/capture_service.h"
#include "controlplane/cluster.h"
#include "controlplane/cluster_authority.h"
#include "controlplane/cluster_writer.h"
#include "controlplane/debug_pages.h"
#include "controlplane/discovery_service.h"
#include "controlplane/grpc_port.h"
#include "controlplane/mesh.h"
#include "controlplane/removal_service.h"
#include "controlplane/removal_writer.h"
#include "controlplane/server_certificate.h"
#include "controlplane/signing_endpoint.h"
#include "controlplane/sources/directory_source.h"
#include "controlplane/sources/kubernetes_source.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/grpc/server.h"
#include "lib/http/http1_server.h"
#include "lib/io/network.h"
#include "lib/io/socket.h"

namespace heddle::controlplane {
namespace {

// A node that comes back lists the versions of all that it holds, about 100 bytes for each resource.
constexpr size_t kMessageBytesMax = size_t{16} * 1024 * 1024;

absl::StatusOr<std::unique_ptr<io::Listener>> Listen(io::Loop& loop,
                                                     const io::SocketAddress& address,
                                                     const char* flag) {
  io::KernelNetwork network;
  auto listener = network.Listen(loop, address);
  if (listener) return *std::move(listener);
  const char* advice = listener.error().is_errno(EADDRINUSE)
                           ? "is another controller running here?"
                           : "without IPv6, write 0.0.0.0 for [::].";
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address.ToString(), ": ",
                                             listener.error().ToString(), "; ", advice, " ", flag,
                                             " takes another address"));
}

// What can fail to open: the directories, or the cluster.
struct Opened {
  ca::CertificateAuthority authority;
  std::optional<ca::NodeTokens> tokens;
  std::unique_ptr<sources::DirectorySource> directory;
  std::unique_ptr<Cluster> cluster;
};

absl::StatusOr<Opened> OpenCluster(io::Loop& loop, const Config& config) {
  Opened opened{.authority = ca::CertificateAuthority(loop.clock())};
  auto cluster = Cluster::Open(loop, config.kubeconfig);
  if (!cluster.ok()) return Annotate(cluster.status(), "--source kubernetes");
  opened.cluster = *std::move(cluster);
  if (!config.state_dir.empty())
    LOG_WARN("state.dir.ignored",
             KV("reason", "the roots of a cluster are in its Secret heddle-ca"));
  return opened;
}

absl::StatusOr<Opened> OpenDirectories(io::Loop& loop, const Config& config) {
  auto authority = ca::CertificateAuthority::Open(config.state_dir, loop.clock());
  if (!authority.ok()) return Annotate(authority.status(), "--state-dir");
  Opened opened{.authority = *std::move(authority)};
  auto tokens = ca::NodeTokens::Open(absl::StrCat(config.state_dir, "/tokens"));
  if (!tokens.ok()) return Annotate(tokens.status(), "--state-dir");
  opened.tokens = *std::move(tokens);
  auto directory = sources::DirectorySource::Open(loop, config.config_dir);
  if (!directory.ok()) return Annotate(directory.status(), "--config-dir");
  opened.directory = *std::move(directory);
  return opened;
}

std::unique_ptr<sources::Source> MakeSource(io::Loop& loop, Opened& opened, Cluster* cluster,
                                            metrics::Registry& registry,
                                            const std::string& own_namespace) {
  if (cluster == nullptr) return std::move(opened.directory);
  return std::make_unique<sources::KubernetesSource>(loop, cluster->client(), cluster->random(),
                                                     registry, own_namespace);
}

}  // namespace

// Members in the order of construction: each may use those above it.
struct App::Parts {
  Parts(io::Loop& loop_in, Config config_in, Opened opened);

  std::unique_ptr<ClusterAuthority> MakeRoots();
  std::unique_ptr<callers::TokenReviewer> MakeReviewer();
  callers::Verifier& verifier();
  std::unique_ptr<ClusterWriter> MakeWriter();
  void AddMethods();
  absl::Status OpenPorts();

  io::Loop& loop;
  const Config config;
  metrics::Registry registry;
  const std::unique_ptr<Cluster> cluster;  // Null without one.
  const std::unique_ptr<sources::Source> source;
  ca::CertificateAuthority authority;
  std::optional<ca::NodeTokens> tokens;           // None with a cluster,
  const std::unique_ptr<ClusterAuthority> roots;  // and null without one.
  Mesh mesh;
  const std::unique_ptr<ClusterWriter> writer;             // Null without a cluster.
  const std::unique_ptr<callers::TokenReviewer> reviewer;  // Null without a cluster.
  const std::unique_ptr<NodeTokenVerifier> node_tokens;    // Null with one.
  Authenticator authenticator;
  DiscoveryService discovery;
  CaptureService captures;
  RemovalService removals;
  ca::CertificateService certificates;
  SigningEndpoint signing;
  ServerCertificate certificate;
  grpc::Server server;
  GrpcPort port;
  DebugPages pages;
  http::Http1Server debug;
  std::unique_ptr<io::Listener> listener;
  std::unique_ptr<io::Listener> debug_listener;
  io::SocketAddress address;
  io::SocketAddress debug_address;
};

App::Parts::Parts(io::Loop& loop_in, Config config_in, Opened opened)
    : loop(loop_in),
      config(std::move(config_in)),
      cluster(std::move(opened.cluster)),
      source(MakeSource(loop, opened, cluster.get(), registry, config.mesh.own_namespace)),
      authority(std::move(opened.authority)),
      tokens(std::move(opened.tokens)),
      roots(MakeRoots()),
      mesh({.loop = loop,
            .source = *source,
            .tokens = tokens.has_value() ? &*tokens : nullptr,
            .capture_file =
                CaptureFile(cluster != nullptr ? "" : config.state_dir + "/captured.json"),
            .options = config.mesh,
            .registry = registry}),
      writer(MakeWriter()),
      reviewer(MakeReviewer()),
      node_tokens(tokens.has_value() ? std::make_unique<NodeTokenVerifier>(*tokens) : nullptr),
      authenticator(loop, verifier(), registry),
      discovery(loop, mesh, registry),
      captures(mesh),
      removals(loop, mesh),
      certificates(authority,
                   [this](const std::string& node, const std::string& identity) {
                     return mesh.published().MayBe(node, identity);
                   }),
      signing(certificates, registry),
      certificate(authority, config.serve.server_names, loop.clock()),
      server(loop, {.message_bytes_max = kMessageBytesMax, .connection = {}}),
      port(loop, server, certificate, registry),
      pages({.mesh = mesh,
             .discovery = discovery,
             .registry = registry,
             .config_json = ConfigJson(config),
             .leader = [this] { return writer == nullptr ? std::string() : writer->StatusJson(); },
             .trouble = [this] { return roots == nullptr ? std::string() : roots->trouble(); }}),
      debug(loop, [this](http::Http1Request request) { return pages.Answer(std::move(request)); }) {
  AddMethods();
}

std::unique_ptr<ClusterWriter> App::Parts::MakeWriter() {
  if (cluster == nullptr) return nullptr;
  ClusterWriter::Parts parts{.loop = loop,
                             .cluster = *cluster,
                             .mesh = mesh,
                             .source = *source,
                             .options = config.mesh,
                             .instance = config.instance,
                             .startup_taint = config.startup_taint,
                             .registry = registry};
  return std::make_unique<ClusterWriter>(std::move(parts));
}

std::unique_ptr<ClusterAuthority> App::Parts::MakeRoots() {
  if (cluster == nullptr) return nullptr;
  ClusterAuthority::Parts parts{.loop = loop,
                                .client = cluster->client(),
                                .random = cluster->random(),
                                .name_space = cluster->name_space(),
                                .authority = authority,
                                .registry = registry};
  return std::make_unique<ClusterAuthority>(std::move(parts));
}

std::unique_ptr<callers::TokenReviewer> App::Parts::MakeReviewer() {
  if (cluster == nullptr) return nullptr;
  std::set<api::NamespacedName> accounts;
  for (const std::string& account : config.agent_service_accounts) {
    const size_t slash = account.find('/');
    accounts.insert({account.substr(0, slash), account.substr(slash + 1)});
  }
  if (accounts.empty()) accounts.insert({cluster->name_space(), "heddle-agent"});
  callers::TokenReviewer::Parts parts{.loop = loop,
                                      .client = cluster->client(),
                                      .objects = mesh.objects(),
                                      .accounts = std::move(accounts),
                                      .registry = registry};
  return std::make_unique<callers::TokenReviewer>(std::move(parts));
}

callers::Verifier& App::Parts::verifier() {
  if (reviewer != nullptr) return *reviewer;
  return *node_tokens;
}

void App::Parts::AddMethods() {
  const auto add = [this](const char* method, auto& service) {
    server.AddStream(
        method, authenticator.Admit([&service](grpc::ServerCall& call, const std::string& node) {
          return service.Serve(call, node);
        }));
  };
  add(DiscoveryService::kMethod, discovery);
  add(CaptureService::kMethod, captures);
  add(RemovalService::kMethod, removals);
  add(SigningEndpoint::kMethod, signing);
}

absl::Status App::Parts::OpenPorts() {
  TRY_ASSIGN(listener, Listen(loop, config.serve.listen, "--listen"));
  TRY_ASSIGN(debug_listener, Listen(loop, config.serve.debug_listen, "--debug-listen"));
  address = listener->local();
  debug_address = debug_listener->local();
  return absl::OkStatus();
}

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
App::~App() = default;

io::SocketAddress App::address() const { return parts_->address; }
io::SocketAddress App::debug_address() const { return parts_->debug_address; }

absl::StatusOr<std::unique_ptr<App>> App::Create(io::Loop& loop, Config config) {
  const bool kubernetes = config.source == SourceKind::kKubernetes;
  TRY_ASSIGN(Opened opened, kubernetes ? OpenCluster(loop, config) : OpenDirectories(loop, config));
  auto parts = std::make_unique<Parts>(loop, std::move(config), std::move(opened));
  // A cluster's authority has no keys yet: there the first connection says what is wrong.
  if (!kubernetes) {
    const auto certificate = parts->certificate.Context();
    if (!certificate.ok()) return Annotate(certificate.status(), "--server-names");
  }
  TRY_STATUS(parts->OpenPorts());
  return std::unique_ptr<App>(new App(std::move(parts)));
}

// Nobody is served before there is a mesh to serve: an agent that got an empty one would take
// everything down.
Task<void> App::ServeWhenReady(StopToken stop) {
  Parts& parts = *parts_;
  if (!co_await parts.mesh.Ready(stop)) co_return;
  if (parts.roots != nullptr && !co_await parts.roots->Ready(stop)) co_return;
  parts.pages.SetReady(true);
  LOG_INFO("controller.serving", KV("version", kVersion), KV("address", parts.address),
           KV("debug", parts.debug_address), KV("objects", parts.mesh.objects().size()),
           KV("problems", parts.mesh.problems().size()),
           KV("root", parts.authority.root().Fingerprint()));
  co_await parts.port.Run(std::move(parts.listener), stop);
}

Task<void> App::Run(StopToken stop) {
  Parts& parts = *parts_;
  Scope scope(parts.loop, stop);
  if (parts.cluster != nullptr) {
    LOG_INFO("controller.reading", KV("cluster", parts.cluster->access().Authority()),
             KV("as", parts.cluster->access().origin));
  }
  scope.Spawn(parts.mesh.Run(scope.stop()));
  if (parts.writer != nullptr) scope.Spawn(parts.writer->Run(scope.stop()));
  if (parts.roots != nullptr) scope.Spawn(parts.roots->Run(scope.stop()));
  std::optional<RemovalWriter> removal_writer;
  if (parts.cluster != nullptr) {
    removal_writer.emplace(parts.loop, parts.mesh, parts.cluster->client(),
                           parts.config.mesh.own_namespace);
    scope.Spawn(removal_writer->Run(scope.stop()));
  }
  scope.Spawn(parts.debug.Run(std::move(parts.debug_listener), scope.stop()));
  scope.Spawn(ServeWhenReady(scope.stop()));
  Event never(parts.loop);
  (void)co_await never.Wait(stop);
  parts.pages.SetReady(false);
  LOG_INFO("controller.stopping");
  co_await scope.Drain();
  if (parts.reviewer != nullptr) co_await parts.reviewer->Shutdown();
  if (parts.cluster != nullptr) co_await parts.cluster->client().Shutdown();
  LOG_INFO("controller.stopped");
}

}  // namespace heddle::controlplane
