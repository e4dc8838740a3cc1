#include "tests/bpf/node.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/check.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

std::string FindCgroup2() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, target, type, rest;
  while (mounts >> device >> target >> type && std::getline(mounts, rest)) {
    if (type == "cgroup2") return target;
  }
  return {};
}

bool WriteFile(const std::string& path, const std::string& text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void Shell(const std::string& script) {
  ASSERT_EQ(std::system(absl::StrCat("set -e\n", script).c_str()), 0) << script;
}

// Once for each process: its own network and mounts, so that nothing leaks onto the machine.
void LeaveMachine() {
  static const bool done = [] {
    CHECK(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
    CHECK(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    return std::system(
               "ip link set lo up && sysctl -qw net.ipv4.ip_forward=1 "
               "net.ipv6.conf.all.forwarding=1") == 0;
  }();
  ASSERT_TRUE(done);
}

void SendAnswer(int channel, const Answer& answer) {
  iovec data{.iov_base = const_cast<int*>(&answer.error), .iov_len = sizeof answer.error};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{.msg_iov = &data, .msg_iovlen = 1};
  if (answer.socket.valid()) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = answer.socket.get();
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (sendmsg(channel, &message, 0) < 0) _exit(1);
}

Answer ReceiveAnswer(int channel) {
  Answer answer{.error = -1};
  iovec data{.iov_base = &answer.error, .iov_len = sizeof answer.error};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) <= 0) return answer;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
    int fd = -1;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    answer.socket = UniqueFd(fd);
  }
  return answer;
}

// rmdir of a cgroup whose last process has just ended may find it busy for a moment.
void RemoveCgroup(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.is_directory()) RemoveCgroup(entry.path());
  }
  Eventually([&] { return rmdir(path.c_str()) == 0 || errno != EBUSY; });
}

}  // namespace

PodRecord Listed(const PodMaps& pods, uint64_t netns_cookie) {
  for (PodRecord& pod : pods.List()) {
    if (pod.netns_cookie == netns_cookie) return std::move(pod);
  }
  return {};
}

Netns::Netns() {
  std::thread([this] {
    CHECK(unshare(CLONE_NEWNET) == 0);
    fd_ = UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    socklen_t size = sizeof cookie_;
    CHECK(getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie_, &size) == 0);
  }).join();
  struct stat info{};
  CHECK(fstat(fd_.get(), &info) == 0);
  ino_ = info.st_ino;
}

std::string Netns::path() const { return absl::StrCat("/proc/", getpid(), "/fd/", fd_.get()); }

void Netns::Run(const std::function<void()>& work) const {
  std::thread([&] {
    CHECK(setns(fd_.get(), CLONE_NEWNET) == 0);
    work();
  }).join();
}

void Netns::Shell(const std::string& script) const {
  Run([&] { agent::Shell(script); });
}

void NodeTest::SetUp() {
  const std::string cgroup2 = FindCgroup2();
  if (geteuid() != 0) GTEST_SKIP() << "SKIPPED: needs root for netns, cgroups and BPF";
  if (cgroup2.empty()) GTEST_SKIP() << "SKIPPED: no cgroup2 is mounted";
  LeaveMachine();
  options_.cgroup = absl::StrCat(cgroup2, "/hdbpf-", getpid());
  char directory[] = "/tmp/hdbpf-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  options_.pin_dir = directory;
  for (const char* name : {"", "kubepods", "kubepods/a", "system"}) MakeCgroup(name);
  const absl::StatusOr<CgroupPlace> place = JoinLeafCgroup(options_.cgroup, "agent");
  ASSERT_TRUE(place.ok()) << place.status();
  place_ = *place;
  outside_ = MakePod("outside", 9);
}

void NodeTest::TearDown() {
  if (options_.pin_dir.starts_with("/tmp/")) {
    StopAgent();
    EXPECT_EQ(BpfLoader::Purge(options_.pin_dir), absl::OkStatus());
    umount2(options_.pin_dir.c_str(), MNT_DETACH);
    rmdir(options_.pin_dir.c_str());
  }
  outside_.reset();
  if (const std::string cgroup2 = FindCgroup2(); !cgroup2.empty() && geteuid() == 0) {
    EXPECT_TRUE(WriteFile(cgroup2 + "/cgroup.procs", absl::StrCat(getpid())));
    RemoveCgroup(options_.cgroup);
    EXPECT_FALSE(fs::exists(options_.cgroup));
  }
}

void NodeTest::MakeCgroup(const std::string& relative) {
  ASSERT_TRUE(mkdir(CgroupPath(relative).c_str(), 0755) == 0 || errno == EEXIST) << strerror(errno);
}

void NodeTest::StartAgent() {
  absl::StatusOr<std::unique_ptr<BpfLoader>> loader = BpfLoader::Load(Options());
  ASSERT_TRUE(loader.ok()) << loader.status();
  loader_ = *std::move(loader);
  pods_ = std::make_unique<PodMaps>(loader_->maps());
  links_ = std::make_unique<PodLookupLinks>(loader_->maps(), loader_->pins());
  destinations_ = std::make_unique<OriginalDestinations>(loader_->maps());
  counters_ = std::make_unique<BpfCounters>(loader_->maps());
  ASSERT_TRUE(ProxyRegistry(loader_->maps()).RegisterSelf(place_.id, "test").ok());
  loader_->settings().Beat();
}

void NodeTest::StopAgent() {
  counters_.reset();
  destinations_.reset();
  links_.reset();
  pods_.reset();
  loader_.reset();
}

std::unique_ptr<Pod> NodeTest::MakePod(const std::string& name, int index) {
  auto pod = std::make_unique<Pod>();
  const std::string v4 = absl::StrCat("10.77.", index, ".");
  const std::string v6 = absl::StrCat("fd77:", index, "::");
  pod->name = name;
  pod->v4 = Ip(v4 + "2");
  pod->v6 = Ip(v6 + "2");
  // Link-local addresses by hand: those that the kernel makes are not ready at once, and neighbours
  // are asked from them.
  const auto configure = [&](const std::string& device, int host) {
    return absl::StrCat("ip link set ", device, " addrgenmode none; ip addr add fe80::", host,
                        "/64 dev ", device, " nodad; ip addr add ", v4, host, "/24 dev ", device,
                        "; ip addr add ", v6, host, "/64 dev ", device, " nodad; ip link set ",
                        device, " up\n");
  };
  const std::string ours = absl::StrCat("v", index);
  Shell(absl::StrCat("ip link del ", ours, " 2>/dev/null || true\nip link add ", ours,
                     " type veth peer name eth0 netns ", pod->netns.path(), "\n",
                     configure(ours, 1)));
  pod->netns.Shell(absl::StrCat("ip link set lo up\n", configure("eth0", 2),
                                "ip route add default via ", v4, "1\nip -6 route add default via ",
                                v6, "1"));
  pod->record = PodRecord{.netns_cookie = pod->netns.cookie(),
                          .netns_ino = pod->netns.ino(),
                          .addresses = {pod->v4, pod->v6},
                          .namespace_name = "shop",
                          .name = name,
                          .uid = "uid-" + name};
  return pod;
}

void NodeTest::Capture(Pod& pod) {
  ASSERT_TRUE(pods_->Put(pod.record).ok());
  const absl::Status attached = links_->Attach(pod.netns.cookie(), pod.netns.fd());
  ASSERT_TRUE(attached.ok()) << attached;
  pod.netns.Run([&] {
    pod.outbound = Listen(HD_PORT_OUTBOUND).socket;
    pod.plaintext = Listen(HD_PORT_INBOUND_PLAINTEXT).socket;
    pod.hbone = Listen(HD_PORT_INBOUND_HBONE).socket;
  });
  ASSERT_TRUE(pod.outbound.valid() && pod.plaintext.valid() && pod.hbone.valid());
  const uint64_t cookie = pod.netns.cookie();
  ASSERT_TRUE(pods_->PutListener(cookie, HD_LISTENER_OUTBOUND, pod.outbound.get()).ok());
  ASSERT_TRUE(pods_->PutListener(cookie, HD_LISTENER_INBOUND_PLAINTEXT, pod.plaintext.get()).ok());
}

Answer NodeTest::RunAs(const std::string& cgroup, const Netns* netns,
                       const std::function<Answer()>& work) const {
  int channel[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
  const UniqueFd ours(channel[0]);
  UniqueFd theirs(channel[1]);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (!WriteFile(CgroupPath(cgroup) + "/cgroup.procs", "0")) _exit(1);
    if (netns != nullptr && setns(netns->fd(), CLONE_NEWNET) != 0) _exit(1);
    SendAnswer(theirs.get(), work());
    _exit(0);
  }
  theirs.Reset();
  Answer answer = ReceiveAnswer(ours.get());
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "the child process in " << cgroup << " failed";
  return answer;
}

Answer NodeTest::AppConnect(const Pod& pod, const io::SocketAddress& to,
                            const ConnectOptions& options) const {
  return RunAs("kubepods/a", &pod.netns, [&] { return Connect(to, options); });
}

Answer NodeTest::AppListen(const Pod& pod, uint16_t port, bool ipv4) const {
  return RunAs("kubepods/a", &pod.netns, [&] { return Listen(port, 64, ipv4); });
}

Answer NodeTest::OutsideConnect(const io::SocketAddress& to, const ConnectOptions& options) const {
  return RunAs("system", &outside_->netns, [&] { return Connect(to, options); });
}

Answer NodeTest::HostConnect(const std::string& cgroup, const io::SocketAddress& to) const {
  return RunAs(cgroup, nullptr, [&] { return Connect(to, {}); });
}

}  // namespace heddle::agent
