#include "agent/app.h"

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "agent/admin_pages.h"
#include "agent/controller_channel.h"
#include "agent/enrollment_file.h"
#include "agent/identity/ca_client.h"
#include "agent/identity/certificate_store.h"
#include "agent/kernel_events.h"
#include "agent/kernel_metrics.h"
#include "agent/loop_metrics.h"
#include "agent/node/capture_reporter.h"
#include "agent/node/cni_installer.h"
#include "agent/node/cni_server.h"
#include "agent/node/node_files.h"
#include "agent/node/pod_registry.h"
#include "agent/node/removal_follower.h"
#include "agent/node_release.h"
#include "agent/node_setup.h"
#include "agent/proxy/proxy.h"
#include "agent/state_file.h"
#include "agent/state_restore.h"
#include "agent/telemetry/access_log.h"
#include "agent/xds/xds_client.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/cni/enrollment.h"
#include "lib/http/http1_server.h"
#include "lib/io/socket.h"
#include "lib/io/stop_signals.h"
#include "lib/io/watchdog.h"

namespace heddle::agent {
namespace {

constexpr absl::Duration kHeartbeatInterval = absl::Milliseconds(500);

size_t WorkerCount(size_t configured) {
  return configured != 0 ? configured
                         : static_cast<size_t>(std::max(1l, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

ProxyLimits LimitsOfThisProcess() {
  ProxyLimits limits;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    limits.connections_max = std::min(limits.connections_max, ConnectionsFor(descriptors.rlim_cur));
  }
  return limits;
}

NodeDescription DescribeNode(const Config& config) {
  NodeDescription node;
  node.id = absl::StrCat("ztunnel~127.0.0.1~heddle-agent-", config.node.node_name,
                         ".heddle-system~heddle-system.svc.cluster.local");
  node.metadata = {{"NODE_NAME", config.node.node_name},
                   {"CLUSTER_ID", config.proxy.cluster_id},
                   {"HEDDLE_VERSION", kVersion}};
  return node;
}

ConnectionDump DumpOf(const ConnectionInfo& info) {
  return {.pod_uid = info.pod_uid,
          .kind = std::string(ToString(info.kind)),
          .source = info.source.ToString(),
          .original_destination = info.original_destination,
          .actual_destination = info.actual_destination,
          .peer_identity = info.source_identity};
}

// Runs on the disk's thread.
Task<void> Join(StateRestore& restore) {
  restore.WaitSession();
  co_return;
}

std::string StatePath(const Config& config) { return absl::StrCat(config.node.state_dir, "/state"); }

// What a start has before the first part is made: all that can fail, and the state on its way from the disk meanwhile.
struct Prepared {
  std::unique_ptr<StateRestore> restore;
  NodeSetup node;
  CaptureRecordStore records;
  BpfEvents events;
};

std::vector<tls::Group> TunnelGroups(KeyExchange exchange) {
  if (exchange == KeyExchange::kX25519) return {tls::Group::kX25519};
  return {tls::Group::kX25519MlKem768, tls::Group::kX25519};
}

}  // namespace

// Members in the order of construction: each may use those above it.
struct App::Parts {
  Parts(Config config_in, AppSignals signals_in, Prepared prepared);

  void Publish(StateRef state);
  void Publish(std::shared_ptr<const Certificates> certificates);
  void ApplySnapshot();
  void UpdateEnrollment();
  AgentStatus Status();
  Task<std::vector<ConnectionDump>> Connections();
  AdminSources MakeAdminSources();
  NodeRelease::Parts ReleaseParts();
  RemovalFollower::Parts FollowerParts();
  void RestoreState();
  absl::Status OpenPorts();
  absl::Status Listen(const io::SocketAddress& address, const char* what,
                      std::unique_ptr<io::Listener>& out);
  Task<void> Beat(StopToken stop);
  Task<void> Reconcile(StopToken stop);
  Task<void> RenewWhenAsked(StopToken stop);
  Task<void> RunSession(StopToken stop);
  // OK after a stop signal.
  Task<void> Serve(absl::Status& outcome);
  Task<void> ShutDown();

  Config config;
  SystemClock clock;
  SystemRandom random;
  AppSignals signals;
  NodeSetup node;
  const std::unique_ptr<StateRestore> restore;
  io::Loop loop;
  io::LoopPool pool;
  io::LoopPool disk;
  std::vector<io::Loop*> workers;
  io::Watchdog watchdog;
  metrics::Registry registry;
  LoopMetrics loop_metrics;
  LineAccessLog access_log;
  std::unique_ptr<Proxy> proxy;

  NetnsThread netns_thread;
  PodCapture capture;
  CaptureRecordStore records;
  NodePods node_pods;
  PodRegistry pods;
  Event look_now;  // Reconcile() has something to do.
  CniServer cni;
  std::unique_ptr<CniInstaller> cni_installer;  // Null when the chain is made by hand.
  BpfCounters counters;
  KernelEvents events;
  KernelMetrics kernel_metrics;
  EnrollmentFile enrollment;

  grpc::Channel channel;
  DeltaSession& session;
  StateFile state_file;
  XdsClient xds;
  CaptureReporter reporter;
  NodeRelease release;
  RemovalFollower removal;
  CaClient ca;
  CertificateStore certificates;

  AdminPages pages;
  http::Http1Server admin;
  http::Http1Server metrics_server;
  http::Http1Server ready_server;
  std::unique_ptr<io::UnixListener> cni_listener;
  std::unique_ptr<io::UnixListener> admin_socket;
  std::unique_ptr<io::Listener> admin_listener;
  std::unique_ptr<io::Listener> metrics_listener;
  std::unique_ptr<io::Listener> ready_listener;
  bool serving = false;
  Scope scope;
};

namespace {

std::vector<io::Loop*> LoopsOf(io::LoopPool& pool) {
  std::vector<io::Loop*> loops;
  for (size_t i = 0; i < pool.size(); ++i) loops.push_back(&pool.loop(i));
  return loops;
}

std::vector<LoopMetrics::Named> NamedLoops(io::Loop& control,
                                           const std::vector<io::Loop*>& workers) {
  std::vector<LoopMetrics::Named> loops = {{&control, "control"}};
  for (size_t i = 0; i < workers.size(); ++i)
    loops.push_back({workers[i], absl::StrCat("worker-", i)});
  return loops;
}

std::vector<io::Watchdog::Watched> WatchedLoops(io::Loop& control,
                                                const std::vector<io::Loop*>& workers) {
  std::vector<io::Watchdog::Watched> watched;
  for (const auto& [loop, name] : NamedLoops(control, workers)) watched.push_back({loop, name});
  return watched;
}

std::unique_ptr<Proxy> MakeProxy(io::Loop& control, const std::vector<io::Loop*>& loops,
                                 metrics::Registry& registry, AccessLog& access_log) {
  std::vector<WorkerPlace> places;
  for (io::Loop* loop : loops) places.push_back({*loop, std::make_unique<SystemRandom>()});
  const ProxyOptions options{
      .limits = LimitsOfThisProcess(), .registry = registry, .access_log = access_log};
  return std::make_unique<Proxy>(control, std::move(places), options);
}

// The plugin that came with this program: beside it, or where cmake --install puts it.
std::string OwnCniProgram(const std::string& name) {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  std::filesystem::path beside = folder / name;
  std::filesystem::path installed = folder.parent_path() / "libexec/heddle" / name;
  return std::filesystem::exists(beside, error) ? beside : installed;
}

std::unique_ptr<CniInstaller> MakeCniInstaller(io::Loop& loop, io::Loop& disk,
                                               const NodeConfig& node,
                                               metrics::Registry& registry) {
  if (node.cni.conf_dir.empty()) return nullptr;
  CniInstaller::Options options{
      .paths = node.cni,
      .plugin = OwnCniProgram(kCniPluginName),
      .stub = OwnCniProgram(kCniStubName),
      .entry = {.run_dir = node.run_dir, .exempt_namespaces = node.exempt_namespaces},
      .left_mark = absl::StrCat(node.state_dir, "/left-the-chain")};
  return std::make_unique<CniInstaller>(loop, disk, std::move(options), registry);
}

NetnsInode HostNetns() {
  const auto own = OwnNetns();
  CHECK(own.ok());
  return *own;
}

}  // namespace

App::Parts::Parts(Config config_in, AppSignals signals_in, Prepared prepared)
    : config(std::move(config_in)),
      signals(std::move(signals_in)),
      node(std::move(prepared.node)),
      restore(std::move(prepared.restore)),
      loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      pool(clock, WorkerCount(config.proxy.workers), "hd-worker",
           io::LoopOptions{.backend = config.proxy.backend}),
      disk(clock, 1, "hd-disk", io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      workers(LoopsOf(pool)),
      watchdog(clock, WatchedLoops(loop, workers)),
      loop_metrics(registry, NamedLoops(loop, workers)),
      proxy(MakeProxy(loop, workers, registry, access_log)),
      netns_thread(clock),
      capture({loop, clock, netns_thread, *node.bpf, *proxy, workers}),
      records(std::move(prepared.records)),
      node_pods(loop),
      pods({loop, clock, capture, records, node_pods, HostNetns(), netns_thread,
            config.node.cgroup, {}, config.node.exempt_namespaces}),
      look_now(loop),
      cni(loop, pods),
      cni_installer(MakeCniInstaller(loop, disk.loop(0), config.node, registry)),
      counters(node.bpf->maps()),
      events(loop, std::move(prepared.events), registry),
      kernel_metrics(registry, counters, pods),
      enrollment(clock,
                 {.path = absl::StrCat(config.node.run_dir, "/", std::string(cni::kEnrollmentFile)),
                  .mixed_path = absl::StrCat(config.node.state_dir, "/mixed-namespaces.json"),
                  .exempt_namespaces = config.node.exempt_namespaces}),
      channel(loop, MakeControllerConnector(loop, config.controller, clock),
              grpc::ChannelOptions{.authority = config.controller.server_name,
                                   .message_bytes_max = 200u << 20}),
      session(restore->session()),
      state_file(loop, disk.loop(0), StatePath(config), registry),
      xds({loop, random, channel, session,
           [this] { return AuthorizationMetadata(config.controller, config.proxy.cluster_id); },
           [this](StateRef state) {
             // With less than that a restarted agent could serve nobody.
             if (state->ready()) state_file.Notify();
             Publish(std::move(state));
           }}),
      reporter(
          {loop, random, channel, config.node.node_name,
           [this] { return AuthorizationMetadata(config.controller, config.proxy.cluster_id); },
           [this] { return pods.List(); }, [this] { return pods.Uncaptured(); }}),
      release(ReleaseParts()),
      removal(FollowerParts()),
      ca(
          channel,
          [this] { return AuthorizationMetadata(config.controller, config.proxy.cluster_id); },
          config.controller.certificate_lifetime),
      certificates({loop, random, ca, absl::StrCat(config.node.run_dir, "/certificates"),
                    TunnelGroups(config.proxy.key_exchange)},
                   {},
                   [this](std::shared_ptr<const Certificates> next) { Publish(std::move(next)); }),
      pages(MakeAdminSources()),
      admin(loop, [this](http::Http1Request request) { return pages.Admin(std::move(request)); }),
      metrics_server(
          loop, [this](http::Http1Request request) { return pages.Metrics(std::move(request)); }),
      ready_server(loop,
                   [this](http::Http1Request request) { return pages.Ready(std::move(request)); }),
      scope(loop) {
  pods.OnChange([this] { reporter.Notify(); });
}

NodeRelease::Parts App::Parts::ReleaseParts() {
  return {.loop = loop,
          .pods = pods,
          .bpf = *node.bpf,
          .installer = cni_installer.get(),
          .look = [this] { look_now.Set(); },
          .report = [this](RemovalReport report) { removal.Report(std::move(report)); },
          .start_over = [this] { scope.RequestStop(); }};
}

RemovalFollower::Parts App::Parts::FollowerParts() {
  return {.loop = loop,
          .random = random,
          .channel = channel,
          .node_name = config.node.node_name,
          .authorize =
              [this] { return AuthorizationMetadata(config.controller, config.proxy.cluster_id); },
          .on_order = [this](const RemovalOrder& order) { release.Order(order); }};
}

void App::Parts::ApplySnapshot() {
  if (node_pods.state() == nullptr) return;
  proxy->Apply({.state = node_pods.state(), .certificates = certificates.current()});
}

void App::Parts::Publish(std::shared_ptr<const Certificates>) { ApplySnapshot(); }

void App::Parts::Publish(StateRef state) {
  node_pods.Update(state);
  std::set<tls::SpiffeId> identities;
  state->node_pods().ForEach([this, &identities](const PodUid&, const NodePodRef& pod) {
    // One that leaves the mesh is still reached by HBONE for a while.
    if (pod->in_mesh() || pods.Holds(pod->uid)) identities.insert(pod->identity);
  });
  certificates.Want(identities);
  ApplySnapshot();
  if (pods.StateChanged()) look_now.Set();
  UpdateEnrollment();
}

void App::Parts::UpdateEnrollment() {
  const StateRef& state = node_pods.state();
  if (state == nullptr || !state->has(ResourceKind::kNodePod)) return;
  if (const absl::Status written = enrollment.Update(*state); !written.ok()) {
    LOG_WARN("enrollment.save.failed", KV("error", written));
  }
}

AgentStatus App::Parts::Status() {
  AgentStatus status;
  status.node_name = config.node.node_name;
  status.version = kVersion;
  status.backend = std::string(io::ToString(workers.front()->reactor().backend()));
  status.backend_fallback_reason = workers.front()->fallback_reason();
  status.workers = workers.size();
  status.controller_connected = xds.status().connected;
  status.controller_error = xds.status().last_error;
  const StateRef state = node_pods.state();
  status.state_generation = state == nullptr ? 0 : state->generation();
  const bool has_state = state != nullptr && state->ready();
  const bool in_chain = cni_installer == nullptr || cni_installer->installed() || release.leaving();
  status.ready = serving && has_state && in_chain;
  status.gone = release.gone() && !release.starts_over();
  if (!serving) {
    status.not_ready_because = "start";
  } else if (!has_state) {
    status.not_ready_because = "state from the controller";
  } else if (!in_chain) {
    status.not_ready_because = absl::StrCat("CNI configuration (", cni_installer->pending(), ")");
  }
  return status;
}

Task<std::vector<ConnectionDump>> App::Parts::Connections() {
  std::vector<ConnectionDump> dumps;
  for (const ConnectionInfo& info : co_await proxy->Connections()) dumps.push_back(DumpOf(info));
  co_return dumps;
}

AdminSources App::Parts::MakeAdminSources() {
  return {.state = [this] { return node_pods.state(); },
          .certificates = [this] { return certificates.current(); },
          .pods = [this] { return pods.List(); },
          .uncaptured = [this] { return pods.Uncaptured(); },
          .connections = [this] { return Connections(); },
          .status = [this] { return Status(); },
          .now = [this] { return clock.Wall(); },
          .metrics =
              [this] {
                kernel_metrics.Update();
                return registry.Expose();
              },
          .config_json = ConfigJson(config)};
}

absl::Status App::Parts::Listen(const io::SocketAddress& address, const char* what,
                                std::unique_ptr<io::Listener>& out) {
  io::KernelNetwork network;
  auto listener = network.Listen(loop, address);
  if (!listener) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address.ToString(), " for ",
                                               what, ": ", listener.error().ToString(),
                                               "; is another agent running here?"));
  }
  out = *std::move(listener);
  return absl::OkStatus();
}

absl::Status App::Parts::OpenPorts() {
  TRY_STATUS(Listen(config.admin.admin_listen, "admin", admin_listener));
  TRY_STATUS(Listen(config.admin.metrics_listen, "metrics", metrics_listener));
  TRY_STATUS(Listen(config.admin.ready_listen, "readiness", ready_listener));
  const std::string socket = absl::StrCat(config.node.run_dir, "/admin.sock");
  auto unix_listener = io::UnixListener::Listen(loop, socket, SOCK_STREAM, 0600);
  if (!unix_listener)
    return absl::UnavailableError(absl::StrCat(socket, ": ", unix_listener.error().ToString()));
  admin_socket = *std::move(unix_listener);
  return absl::OkStatus();
}

void App::Parts::RestoreState() {
  absl::StatusOr<StateRef> restored = restore->WaitState();
  if (restored.ok()) {
    LOG_INFO("state.restored");
    Publish(*std::move(restored));
  } else if (!absl::IsNotFound(restored.status())) {
    LOG_WARN("state.unreadable", KV("error", restored.status()));
  }
}

Task<void> App::Parts::Beat(StopToken stop) {
  do {
    node.bpf->settings().Beat();
  } while (co_await loop.Sleep(kHeartbeatInterval, stop));
}

Task<void> App::Parts::Reconcile(StopToken stop) {
  while (true) {
    Deadline next(loop, stop, pods.NextLook());
    co_await look_now.Wait(next.token());
    if (stop.requested()) break;
    look_now.Reset();
    if (release.kernel_released()) continue;  // What is off stays off.
    const auto repaired = node.bpf->Repair();
    if (!repaired.ok()) LOG_ERROR("bpf.repair.failed", KV("error", repaired.status()));
    if (repaired.ok()) {
      for (const std::string& program : *repaired)
        LOG_WARN("bpf.reattached", KV("program", program));
    }
    const absl::Status probes = ApplyProbeRule(config.node, node);
    if (!probes.ok()) LOG_WARN("probe.rule", KV("error", probes));
    co_await pods.Reconcile();
    pods.PrepareNext();  // If a pod that was enrolled while it ran, or was repaired, has taken the last one.
    UpdateEnrollment();  // What was mixed a day ago is forgotten.
  }
}

Task<void> App::Parts::RenewWhenAsked(StopToken stop) {
  while (co_await io::WaitReady(loop, signals.renew.get(), POLLIN, stop)) {
    io::DrainSignals(signals.renew);
    LOG_INFO("cert.renewal.asked", KV("identities", certificates.current()->entries().size()));
    certificates.Renew();
  }
}

// The session is the restore's for a while yet: pods are served meanwhile.
Task<void> App::Parts::RunSession(StopToken stop) {
  absl::AnyInvocable<Task<void>()> join = [this] { return Join(*restore); };
  co_await io::RunOn(loop, disk.loop(0), std::move(join));
  scope.Spawn(state_file.Run(session, stop));
  co_await xds.Run(stop);
}

Task<void> App::Parts::Serve(absl::Status& outcome) {
  const StopToken stop = scope.stop();
  scope.Spawn(Beat(stop));
  scope.Spawn(RenewWhenAsked(stop));
  co_await proxy->Start();
  RestoreState();
  co_await pods.AdoptAll();
  scope.Spawn(RunSession(stop));
  scope.Spawn(reporter.Run(stop));
  scope.Spawn(removal.Run(stop));
  scope.Spawn(release.Run(stop));
  scope.Spawn(Reconcile(stop));
  scope.Spawn(events.Run(stop));
  scope.Spawn(admin.Run(std::move(admin_listener), stop));
  scope.Spawn(admin.Run(std::move(admin_socket), stop));
  scope.Spawn(metrics_server.Run(std::move(metrics_listener), stop));
  scope.Spawn(ready_server.Run(std::move(ready_listener), stop));
  // Last: an ADD is answered only by an agent that can keep its promise.
  const std::string path = absl::StrCat(config.node.run_dir, "/cni.sock");
  auto listener = io::UnixListener::Listen(loop, path, SOCK_SEQPACKET, 0600);
  if (listener) {
    scope.Spawn(cni.Run(*std::move(listener), stop));
    serving = true;
    // After that: a chain that names the plugin needs somebody who answers it.
    if (cni_installer != nullptr) scope.Spawn(cni_installer->Run(stop));
    LOG_INFO("agent.serving", KV("node", config.node.node_name), KV("backend", Status().backend),
             KV("workers", workers.size()), KV("pods", pods.List().size()));
    pods.PrepareNext();  // Some milliseconds: after what somebody may wait for.
    const auto signalled = co_await io::WaitReady(loop, signals.stop.get(), POLLIN, stop);
    LOG_INFO("agent.stopping", KV("signalled", signalled.has_value()));
  } else {
    outcome = absl::UnavailableError(absl::StrCat(
        "cannot listen on ", path, " for the CNI plugin: ", listener.error().ToString(),
        "; is another agent running here?"));
  }
  co_await ShutDown();
}

// The capture stays: new connections meet each pod's fail mode at once, because the heartbeat says
// that nobody is there.
Task<void> App::Parts::ShutDown() {
  serving = false;
  scope.RequestStop();
  node.bpf->settings().StopBeating();
  co_await proxy->Drain();
  co_await scope.Join();
  co_await state_file.Flush(session);
  co_await pods.Abandon(*proxy);
  co_await certificates.Stop();
  co_await channel.Shutdown();
  co_await proxy->Stop();
  ProxyRegistry(node.bpf->maps()).Unregister(node.place.id);
  // What a node without Heddle has no use for; before, an agent that comes back has.
  if (release.gone() && !release.starts_over()) {
    RemoveNodeFiles({config.node.run_dir, config.node.state_dir});
    LeaveLeafCgroup(config.node.cgroup, "heddle-agent");
  }
  LOG_INFO("agent.stopped");
}

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
App::~App() = default;

absl::StatusOr<std::unique_ptr<App>> App::Create(Config config, AppSignals signals) {
  TRY_STATUS(CheckBackend(config.proxy.backend));
  auto restore = std::make_unique<StateRestore>(
      StatePath(config), DescribeNode(config),
      std::vector{ResourceKind::kAddress, ResourceKind::kAuthorization, ResourceKind::kNodePod});
  TRY_ASSIGN(NodeSetup node, SetUpNode(config.node));
  TRY_ASSIGN(CaptureRecordStore records,
             CaptureRecordStore::Open(absl::StrCat(config.node.run_dir, "/pods")));
  TRY_ASSIGN(BpfEvents events, BpfEvents::Open(node.bpf->maps()));
  Prepared prepared{.restore = std::move(restore),
                    .node = std::move(node),
                    .records = std::move(records),
                    .events = std::move(events)};
  auto parts =
      std::make_unique<Parts>(std::move(config), std::move(signals), std::move(prepared));
  TRY_STATUS(parts->OpenPorts());
  return std::unique_ptr<App>(new App(std::move(parts)));
}

bool App::starts_over() const { return parts_->release.starts_over(); }

int App::Run() {
  absl::Status outcome;
  parts_->loop.RunUntilDone(parts_->Serve(outcome));
  if (outcome.ok()) return 0;
  LOG_ERROR("agent.failed", KV("error", outcome));
  return 1;
}

}  // namespace heddle::agent
