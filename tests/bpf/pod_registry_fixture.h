#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/model/state_builder.h"
#include "agent/node/pod_registry.h"
#include "lib/cni/error.h"
#include "lib/io/loop.h"
#include "tests/bpf/idle_proxy.h"
#include "tests/bpf/node.h"

// The pod registry and the capture on the real kernel: real pods, maps, links, records and netns
// thread. Only the proxy is another one, behind the seam that it has anyway.
namespace heddle::agent {

class PodRegistryTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) return;
    StartAgent();
    a_ = MakePod("a", 1);
    StartRegistry();
    Bind("uid-a", "a");
  }
  void TearDown() override {
    if (registry_ != nullptr) EndRegistry();
    std::filesystem::remove_all(Records());
    a_.reset();
    NodeTest::TearDown();
  }

  std::string Records() const { return absl::StrCat("/tmp/hdbpf-records-", getpid()); }

  void StartRegistry() {
    proxy_ = std::make_unique<IdleProxy>(loop_);
    netns_thread_ = std::make_unique<NetnsThread>(clock_);
    proxy_->on_release = [this] { at_release_ = InKernel(*a_); };
    capture_ = std::make_unique<PodCapture>(
        PodCapture::Parts{loop_, clock_, *netns_thread_, *loader_, *proxy_, workers_});
    records_ = std::make_unique<CaptureRecordStore>(*CaptureRecordStore::Open(Records()));
    registry_ = std::make_unique<PodRegistry>(
        PodRegistry::Parts{loop_, clock_, *capture_, *records_, node_pods_, *OwnNetns(),
                           *netns_thread_, options_.cgroup, leave_, {"kube-system"}});
  }
  // As an agent that goes: the capture stays.
  void EndRegistry() {
    loop_.RunUntilDone(registry_->Abandon(*proxy_));
    registry_.reset();
    capture_.reset();
    netns_thread_.reset();
    proxy_.reset();
  }

  // The controller says that the pod is bound here.
  void Bind(const std::string& uid, const std::string& name, node::v1::Interception settings = {}) {
    node::v1::NodePod pod;
    pod.set_uid(uid);
    pod.set_namespace_("shop");
    pod.set_name(name);
    pod.set_service_account("default");
    pod.set_trust_domain("cluster.local");
    pod.set_enrolled(true);
    *pod.mutable_interception() = std::move(settings);
    Tell(pod);
  }
  void Tell(const node::v1::NodePod& pod) {
    ASSERT_TRUE(state_.PutNodePod(pod.uid(), pod).ok());
    node_pods_.Update(state_.Publish());
  }

  static cni::Request Request(cni::Command command, const std::string& uid, const Pod& pod) {
    return {.command = command,
            .container_id = absl::StrCat("container-", uid),
            .netns = pod.netns.path(),
            .ifname = "eth0",
            .network = "pods",
            .pod = {.pod_namespace = "shop", .name = uid.substr(uid.size() - 1), .uid = uid},
            .ips = {pod.v4.ToString()},
            .attachments = {}};
  }
  Task<cni::Reply> Send(cni::Request request, const Pod* pod, StopToken stop = {}) {
    UniqueFd netns(pod == nullptr ? -1 : ::dup(pod->netns.fd()));
    co_return co_await registry_->Handle(std::move(request), std::move(netns), stop);
  }
  Task<cni::Reply> Add(const std::string& uid, const Pod& pod, StopToken stop = {}) {
    return Send(Request(cni::Command::kAdd, uid, pod), &pod, stop);
  }
  Task<cni::Reply> Del(const std::string& uid, const Pod& pod, StopToken stop = {}) {
    return Send(Request(cni::Command::kDel, uid, pod), nullptr, stop);
  }
  cni::Reply Wait(Task<cni::Reply> task) {
    cni::Reply reply;
    loop_.RunUntilDone(Into(std::move(task), reply));
    return reply;
  }
  void Reconcile() { loop_.RunUntilDone(registry_->Reconcile()); }
  static Task<void> Into(Task<cni::Reply> task, cni::Reply& reply) {
    reply = co_await std::move(task);
  }
  // Starts it and turns the loop until `reached` holds.
  void Start(Scope& scope, Task<cni::Reply> task, cni::Reply& reply,
             const std::function<bool()>& reached) {
    reply.code = kUnanswered;
    scope.Spawn(Into(std::move(task), reply));
    TurnUntil(reached);
  }
  void TurnUntil(const std::function<bool()>& reached) {
    for (int turn = 0; turn < kTurnsMax && !reached(); ++turn)
      loop_.Turn(clock_.Monotonic() + absl::Milliseconds(10));
    EXPECT_TRUE(reached());
  }
  void Finish(Scope& scope) { loop_.RunUntilDone(scope.Join()); }

  std::optional<hd_pod> InKernel(const Pod& pod) const {
    return loader_->maps().Find<hd_pod>(MapId::kPods, pod.netns.cookie());
  }
  // An entry that was erased and written anew is younger.
  uint64_t CapturedSince(const Pod& pod) const {
    const auto record = InKernel(pod);
    return record ? record->since_ns : 0;
  }
  bool RedirectsConnects(const Pod& pod) const {
    const uint64_t before = Count(HD_STAT_CONNECT_REDIRECTED);
    AppConnect(pod, {outside_->v4, 8080}, {.nonblocking = true});
    return Count(HD_STAT_CONNECT_REDIRECTED) == before + 1;
  }
  size_t RecordFiles() const {
    std::vector<std::string> unreadable;
    return records_->Load(unreadable).size();
  }
  void ExpectNothingLeft(const Pod& pod) const {
    EXPECT_FALSE(InKernel(pod).has_value());
    for (const MapId id : {MapId::kPods, MapId::kPodIp, MapId::kPodStats, MapId::kExclPort,
                           MapId::kExclCidr})
      EXPECT_EQ(Entries(id), 0u);
    EXPECT_THAT(links_->List(), testing::IsEmpty());
    EXPECT_EQ(RecordFiles(), 0u);
  }

  static constexpr int kUnanswered = -1;
  static constexpr int kTurnsMax = 500;

  SystemClock clock_;
  io::Loop loop_{clock_, io::LoopOptions{.backend = io::BackendChoice::kEpoll}};
  io::Loop* workers_[1] = {&loop_};
  NodePods node_pods_{loop_};
  StateBuilder state_;
  LeaveTimes leave_;
  std::unique_ptr<IdleProxy> proxy_;
  std::unique_ptr<NetnsThread> netns_thread_;
  std::unique_ptr<PodCapture> capture_;
  std::unique_ptr<CaptureRecordStore> records_;
  std::unique_ptr<PodRegistry> registry_;
  std::unique_ptr<Pod> a_;
  std::optional<hd_pod> at_release_;  // What the kernel said of pod a when the proxy let it go.
};

}  // namespace heddle::agent
