// Pods that run already when they are to be captured, or to be let go.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/netlink/tcp_diag.h"
#include "tests/bpf/pod_registry_fixture.h"

namespace heddle::agent {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kUid[] = "11111111-2222-3333-4444-00000000000a";
constexpr char kWorkload[] = "Kubernetes//Pod/shop/a";

bool WriteText(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A process of a pod, until its end.
class RunningProcess {
 public:
  RunningProcess(const std::string& cgroup, const Netns& netns) {
    int ready[2];
    CHECK(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const bool placed = WriteText(cgroup + "/cgroup.procs", "0") &&
                          ::setns(netns.fd(), CLONE_NEWNET) == 0 &&
                          // The agent's sockets are none of its own.
                          ::dup2(ready[1], 3) == 3 && ::close_range(4, ~0u, 0) == 0 &&
                          ::write(3, "r", 1) == 1;
      while (placed) ::pause();
      ::_exit(1);
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the process could not be placed in " << cgroup;
    ::close(ready[0]);
  }
  ~RunningProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  RunningProcess(const RunningProcess&) = delete;
  RunningProcess& operator=(const RunningProcess&) = delete;

 private:
  pid_t pid_ = -1;
};

class EnrolmentTest : public PodRegistryTest {
 protected:
  void SetUp() override {
    leave_ = {.announce = absl::ZeroDuration(), .drain_max = absl::InfiniteDuration()};
    PodRegistryTest::SetUp();
    if (IsSkipped()) return;
    MakeCgroup(Cgroup());
    Say({});
  }
  void TearDown() override {
    if (registry_ != nullptr) Wait(registry_->Handle(DelRequest(), {}, {}));
    PodRegistryTest::TearDown();
  }

  static std::string Cgroup() { return absl::StrCat("kubepods/pod", kUid); }
  std::unique_ptr<RunningProcess> Run(const Netns& netns) const {
    return std::make_unique<RunningProcess>(CgroupPath(Cgroup()), netns);
  }

  struct Said {
    bool enrolled = true;
    std::string ip;  // Empty: the pod's own.
  };
  // What the controller says of the pod.
  void Say(const Said& said) {
    node::v1::NodePod pod;
    pod.set_uid(kUid);
    pod.set_namespace_("shop");
    pod.set_name("a");
    pod.set_service_account("default");
    pod.set_trust_domain("cluster.local");
    pod.set_workload_uid(kWorkload);
    pod.set_enrolled(said.enrolled);
    const io::IpAddress ip = said.ip.empty() ? a_->v4 : Ip(said.ip);
    const auto bytes = ip.native_bytes();
    pod.add_pod_ips(std::string(bytes.begin(), bytes.end()));
    Tell(pod);
  }
  void AnnounceHbone() {
    istio::workload::Address message;
    istio::workload::Workload& workload = *message.mutable_workload();
    workload.set_uid(kWorkload);
    workload.set_namespace_("shop");
    workload.set_name("a");
    const auto bytes = a_->v4.native_bytes();
    workload.add_addresses(std::string(bytes.begin(), bytes.end()));
    workload.set_tunnel_protocol(istio::workload::HBONE);
    ASSERT_TRUE(state_.PutAddress(kWorkload, message).ok());
    node_pods_.Update(state_.Publish());
  }
  cni::Request DelRequest() const {
    return {.command = cni::Command::kDel,
            .container_id = "of-an-add-that-nobody-saw",
            .netns = a_->netns.path(),
            .ifname = "eth0",
            .network = "pods",
            .pod = {},
            .ips = {},
            .attachments = {}};
  }
  std::string Problem() const {
    const auto uncaptured = registry_->Uncaptured();
    return uncaptured.size() == 1 ? uncaptured.front().problem : "";
  }
  bool PassesConnects() const {
    const uint64_t before = Count(HD_STAT_CONNECT_REDIRECTED);
    AppConnect(*a_, {outside_->v4, 8080}, {.nonblocking = true});
    return Count(HD_STAT_CONNECT_REDIRECTED) == before;
  }
};

TEST_F(EnrolmentTest, ARunningPodIsCapturedInPlaceAndItsDelLeavesNothing) {
  const auto process = Run(a_->netns);
  EXPECT_TRUE(registry_->StateChanged());
  Reconcile();
  EXPECT_TRUE(proxy_->Serves(kUid));
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(registry_->stats().captured_running_total, 1u);
  EXPECT_EQ(registry_->stats().faster_total, 1u) << "nobody has said that it was outside rightly";
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_TRUE(registry_->List().at(0).record.in_place());
  EXPECT_FALSE(registry_->StateChanged());
  ASSERT_EQ(Wait(Send(DelRequest(), nullptr)).code, 0);
  ExpectNothingLeft(*a_);
  Reconcile();
  EXPECT_FALSE(proxy_->Serves(kUid)) << "the sandbox has ended, although a process still lives";
  EXPECT_EQ(registry_->stats().gaps, 0u);
}

TEST_F(EnrolmentTest, WhatALabelTakesInWasNotFaster) {
  const auto process = Run(a_->netns);
  Say({.enrolled = false});
  EXPECT_FALSE(registry_->StateChanged());
  Reconcile();
  Say({});
  EXPECT_TRUE(registry_->StateChanged());
  Reconcile();
  EXPECT_EQ(registry_->stats().captured_running_total, 1u);
  EXPECT_EQ(registry_->stats().faster_total, 0u);
}

TEST_F(EnrolmentTest, WhatWasLetGoAndIsTakenInAgainWasNotFaster) {
  const auto process = Run(a_->netns);
  Reconcile();
  // Without a word of the controller about the pod: the mesh leaves the node, and stays after all.
  registry_->LeaveAll({.announce = absl::ZeroDuration(), .drain_max = absl::ZeroDuration()});
  Reconcile();
  Reconcile();
  EXPECT_EQ(registry_->Remaining(), 0u);
  registry_->StayAll();
  Reconcile();
  EXPECT_EQ(registry_->stats().captured_running_total, 2u);
  EXPECT_EQ(registry_->stats().faster_total, 1u) << "the first time";
}

TEST_F(EnrolmentTest, PlaintextIsTakenOnlyWhenThePodWasAnnouncedAtTwoLooks) {
  const auto process = Run(a_->netns);
  Reconcile();
  Reconcile();
  EXPECT_THAT(links_->List(), IsEmpty());
  EXPECT_LT(registry_->NextLook(), absl::Seconds(5));
  AnnounceHbone();
  Reconcile();
  EXPECT_THAT(links_->List(), IsEmpty());
  Reconcile();
  EXPECT_THAT(links_->List(), testing::ElementsAre(a_->netns.cookie()));
  EXPECT_EQ(registry_->stats().repaired_total, 0u);
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_GT(registry_->NextLook(), absl::Seconds(5));
}

TEST_F(EnrolmentTest, TheNetnsOfTheOldestProcessIsThePods) {
  const auto process = Run(a_->netns);
  // Started within the same clock tick, the lower pid is the older one.
  const Netns own;
  const auto later = Run(own);
  Reconcile();
  ASSERT_EQ(registry_->List().size(), 1u) << Problem();
  EXPECT_EQ(registry_->List().at(0).record.netns_cookie, a_->netns.cookie());
}

TEST_F(EnrolmentTest, APodWhoseProcessesAreNotFoundIsAGapWithAReason) {
  MakeCgroup("kubepods/elsewhere");
  const RunningProcess process(CgroupPath("kubepods/elsewhere"), a_->netns);
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 1u);
  EXPECT_THAT(Problem(), HasSubstr("no process of it was found"));
  EXPECT_FALSE(registry_->StateChanged()) << "it is known; the next look tries again";
  const auto found = Run(a_->netns);
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_TRUE(proxy_->Serves(kUid));
}

TEST_F(EnrolmentTest, APodThatIsJustBeingStartedIsNoGap) {
  Bind(kUid, "a");  // Without an address in its status.
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_FALSE(registry_->StateChanged());
}

TEST_F(EnrolmentTest, APodOfAnotherMeshIsLeftAloneAndTriedAgainLater) {
  const auto process = Run(a_->netns);
  UniqueFd sidecar = AppListen(*a_, kInboundPlaintextPort).socket;
  Reconcile();
  EXPECT_THAT(Problem(), HasSubstr("port 15006 is taken"));
  EXPECT_EQ(registry_->stats().gaps, 1u);
  ExpectNothingLeft(*a_);
  EXPECT_TRUE(PassesConnects());
  a_->netns.Shell("test -z \"$(ip rule list priority 32764)\"");
  sidecar.Reset();
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 1u) << "not at once: each attempt may be felt";
}

TEST_F(EnrolmentTest, ANetnsWithoutTheAddressOfThePodsStatusIsNotThePods) {
  const auto process = Run(a_->netns);
  Say({.enrolled = true, .ip = "10.1.2.3"});
  Reconcile();
  EXPECT_THAT(Problem(), HasSubstr("10.1.2.3"));
  ExpectNothingLeft(*a_);
}

TEST_F(EnrolmentTest, TheNodesOwnNetnsIsNoPods) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    WriteText(CgroupPath(Cgroup()) + "/cgroup.procs", "0");
    while (true) ::pause();
  }
  EXPECT_TRUE(Eventually([&] {
    Reconcile();
    return Problem().find("the node's own") != std::string::npos;
  }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(EnrolmentTest, APodThatIsNotEnrolledAnyMoreLeavesWhenItsConnectionsHaveEnded) {
  const auto process = Run(a_->netns);
  Reconcile();
  Say({.enrolled = false});
  proxy_->connections = 1;
  EXPECT_TRUE(registry_->StateChanged());
  Reconcile();
  Reconcile();
  EXPECT_TRUE(registry_->List().at(0).leaving);
  EXPECT_TRUE(PassesConnects());
  EXPECT_TRUE(proxy_->Serves(kUid)) << "who has not heard of it still comes by HBONE";
  EXPECT_EQ(registry_->stats().repaired_total, 0u);
  proxy_->connections = 0;
  Reconcile();
  EXPECT_FALSE(proxy_->Serves(kUid));
  ExpectNothingLeft(*a_);
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 0u);
}

TEST_F(EnrolmentTest, APodThatIsEnrolledAgainWhileItLeavesStays) {
  const auto process = Run(a_->netns);
  Reconcile();
  Say({.enrolled = false});
  proxy_->connections = 1;
  Reconcile();
  EXPECT_TRUE(PassesConnects());
  Say({});
  Reconcile();
  EXPECT_FALSE(registry_->List().at(0).leaving);
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(proxy_->captured_total, 1);
}

TEST_F(EnrolmentTest, APodThatLeavesIsLetGoInTheEndWhateverItHasOpen) {
  EndRegistry();
  leave_.drain_max = absl::ZeroDuration();
  StartRegistry();
  const auto process = Run(a_->netns);
  Reconcile();
  Say({.enrolled = false});
  proxy_->connections = 1;
  Reconcile();
  EXPECT_TRUE(proxy_->Serves(kUid));
  Reconcile();
  EXPECT_FALSE(proxy_->Serves(kUid));
  ExpectNothingLeft(*a_);
}

TEST_F(EnrolmentTest, TheNextAgentServesAPodThatWasCapturedInPlaceByWhateverProcessItHas) {
  auto first = Run(a_->netns);
  Reconcile();
  EXPECT_THAT(registry_->List().at(0).record.netns_path, HasSubstr("/proc/"));
  const uint64_t since = CapturedSince(*a_);
  auto second = Run(a_->netns);
  first.reset();
  Reconcile();
  EXPECT_TRUE(proxy_->Serves(kUid));
  EXPECT_TRUE(RedirectsConnects(*a_));
  const auto third = Run(a_->netns);
  second.reset();
  EndRegistry();
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  ASSERT_TRUE(proxy_->Serves(kUid));
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(CapturedSince(*a_), since);
}

TEST_F(EnrolmentTest, ThePodIsGoneWithItsLastProcess) {
  auto process = Run(a_->netns);
  Reconcile();
  ASSERT_TRUE(proxy_->Serves(kUid));
  process.reset();
  Reconcile();
  EXPECT_FALSE(proxy_->Serves(kUid));
  ExpectNothingLeft(*a_);
}

TEST_F(EnrolmentTest, TheNextAgentLetsGoWhatLeft) {
  const auto process = Run(a_->netns);
  a_->netns.Shell("sysctl -qw net.ipv4.tcp_tw_reuse=2");
  Reconcile();
  Say({.enrolled = false});
  proxy_->connections = 1;
  Reconcile();
  EndRegistry();
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  EXPECT_THAT(registry_->List(), IsEmpty());
  ExpectNothingLeft(*a_);
  a_->netns.Shell(
      "test $(sysctl -n net.ipv4.tcp_tw_reuse) = 2 && "
      "test -z \"$(ip rule list priority 32764)\"");
}

TEST_F(EnrolmentTest, AnAddOfARunningPodTellsItsContainer) {
  const auto process = Run(a_->netns);
  Reconcile();
  cni::Request request = DelRequest();
  request.command = cni::Command::kAdd;
  request.pod = {.pod_namespace = "shop", .name = "a", .uid = kUid};
  ASSERT_EQ(Wait(Send(request, a_.get())).code, 0);
  EXPECT_EQ(registry_->List().at(0).record.container_id, request.container_id);
  EXPECT_TRUE(RedirectsConnects(*a_));
}

}  // namespace
}  // namespace heddle::agent
