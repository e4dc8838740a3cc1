// Runs the built plugin as a container runtime does, against a socket that this test serves.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "lib/base/unique_fd.h"
#include "lib/cni/json.h"
#include "lib/cni/protocol.h"
#include "lib/cni/seqpacket.h"

namespace heddle::cni {
namespace {

constexpr int kPatienceMilliseconds = 20000;

struct Ended {
  std::string out;
  int exit_code = -1;
  int milliseconds = 0;
};

// A plugin process. Its input is written and its output read only after the test has served the socket: both fit the
// pipes' buffers.
class PluginProcess {
 public:
  PluginProcess(const std::map<std::string, std::string>& environment, const std::string& input,
                std::string program = HEDDLE_CNI_PATH) {
    int in[2], out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    std::vector<char*> pointers;
    for (std::string& variable : variables) pointers.push_back(variable.data());
    pointers.push_back(nullptr);
    char* arguments[] = {program.data(), nullptr};
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::execve(program.c_str(), arguments, pointers.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    out_.Reset(out[0]);
    in_.Reset(in[1]);
    EXPECT_EQ(::write(in_.get(), input.data(), input.size()), static_cast<ssize_t>(input.size()));
    in_.Reset();
  }

  Ended Wait() {
    Ended ended;
    char block[4096];
    ssize_t length = 0;
    while ((length = ::read(out_.get(), block, sizeof(block))) > 0) {
      ended.out.append(block, static_cast<size_t>(length));
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
    const auto taken = std::chrono::steady_clock::now() - started_;
    ended.milliseconds = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(taken).count());
    return ended;
  }

 private:
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  pid_t pid_ = -1;
  UniqueFd in_, out_;
};

constexpr char kPrevResult[] =
    R"({ "cniVersion":"1.0.0", "interfaces":[{"name":"eth0","sandbox":"/n"}],)"
    R"( "ips":[{"address":"10.0.1.2/24","interface":0}], "other" : {"cniVersion":"x", "n":1.50} })";

class Plugin : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/heddle-cni-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    run_dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(run_dir_); }

  void Listen() {
    listener_.Reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX};
    const std::string path = run_dir_ + "/cni.sock";
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener_.get(), 4), 0);
  }

  PluginProcess Start(const std::string& command, const std::string& config_extra = "",
                      const std::string& pod_namespace = "shop") {
    const std::map<std::string, std::string> environment = {
        {"CNI_COMMAND", command},
        {"CNI_CONTAINERID", "c1"},
        {"CNI_NETNS", netns_},
        {"CNI_IFNAME", "eth0"},
        {"CNI_PATH", "/opt/cni/bin"},
        {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + pod_namespace + ";K8S_POD_NAME=web-0;K8S_POD_UID=u-1"}};
    return {environment, "{\"cniVersion\":\"" + version_ + "\",\"name\":\"pods\",\"type\":\"heddle-cni\"," +
                             "\"runDir\":\"" + run_dir_ + "\"" + config_extra + "}",
            program_};
  }
  PluginProcess StartAdd(const std::string& config_extra = "", const std::string& pod_namespace = "shop") {
    return Start("ADD", std::string(",\"prevResult\":") + kPrevResult + config_extra, pod_namespace);
  }

  bool WaitReadable(int fd) {
    pollfd entry{.fd = fd, .events = POLLIN};
    return ::poll(&entry, 1, kPatienceMilliseconds) == 1;
  }

  // Takes one request and answers it; the connection and the descriptor stay for inspection.
  Request Serve(const Reply& reply) {
    EXPECT_TRUE(WaitReadable(listener_.get()));
    connection_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(WaitReadable(connection_.get()));
    auto message = ReceiveMessage(connection_.get());
    EXPECT_TRUE(message);
    passed_fd_ = std::move(message->fd);
    const auto request = DecodeRequest(message->bytes);
    EXPECT_TRUE(request) << request.error().msg;
    EXPECT_TRUE(SendMessage(connection_.get(), EncodeReply(reply), -1));
    return request.value_or(Request{});
  }

  void WriteEnrollment(const std::string& text) { std::ofstream(run_dir_ + "/enroll.json") << text; }

  std::string run_dir_;
  std::string program_ = HEDDLE_CNI_PATH;
  std::string version_ = "1.0.0";
  std::string netns_ = "/proc/self/ns/net";
  UniqueFd listener_, connection_, passed_fd_;
};

int ErrorCodeOf(const Ended& ended) {
  const auto document = ParseJson(ended.out);
  const auto members = document ? JsonMembers(*document) : std::nullopt;
  if (!members || FindMember(*members, "code") == nullptr || FindMember(*members, "msg") == nullptr) return -1;
  return JsonInteger(*FindMember(*members, "code")).value_or(-1);
}

void ExpectError(const Ended& ended, int code) {
  EXPECT_NE(ended.exit_code, 0);
  EXPECT_EQ(ErrorCodeOf(ended), code) << ended.out;
}
void ExpectSilentSuccess(const Ended& ended) {
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.out, "");
}

TEST_F(Plugin, AddHandsTheNetnsToTheAgentAndEchoesTheResult) {
  Listen();
  auto process = StartAdd();
  const Request request = Serve({});
  EXPECT_EQ(request, (Request{.command = Command::kAdd,
                              .container_id = "c1",
                              .netns = "/proc/self/ns/net",
                              .ifname = "eth0",
                              .network = "pods",
                              .pod = {.pod_namespace = "shop", .name = "web-0", .uid = "u-1"},
                              .ips = {"10.0.1.2"}}));
  struct stat ours{}, passed{};
  ASSERT_EQ(::stat("/proc/self/ns/net", &ours), 0);
  ASSERT_EQ(::fstat(passed_fd_.get(), &passed), 0);
  EXPECT_EQ(ours.st_ino, passed.st_ino);
  const Ended ended = process.Wait();
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.out, std::string(kPrevResult) + "\n");
}

TEST_F(Plugin, AddPassesOnTheAgentsRefusal) {
  Listen();
  auto process = StartAdd();
  Serve({.code = 11, .msg = "no record of this pod yet", .details = "waited 8 s"});
  const Ended ended = process.Wait();
  ExpectError(ended, 11);
  EXPECT_NE(ended.out.find("no record of this pod yet"), std::string::npos);
}

TEST_F(Plugin, AddWithoutAgentDecidesFromTheEnrolmentFile) {
  constexpr char kFile[] = R"({"version":1,"namespaces":{"shop":"enrolled","legacy":"none","lab":"mixed"},)"
                           R"("exemptNamespaces":["kube-system"]})";
  const struct {
    const char* file;  // Null: absent.
    const char* config;
    const char* pod_namespace;
    bool passes;
  } cases[] = {
      {kFile, "", "shop", false},
      {kFile, "", "legacy", true},
      {kFile, "", "lab", false},
      {kFile, "", "unknown", false},
      {kFile, "", "kube-system", true},
      {nullptr, "", "legacy", false},
      {nullptr, ",\"exemptNamespaces\":[\"kube-system\"]", "kube-system", true},
      {nullptr, ",\"exemptNamespaces\":[\"kube-system\"]", "shop", false},
      {"garbage", "", "legacy", false},
      {kFile, ",\"exemptNamespaces\":[\"shop\"]", "shop", true},
  };
  for (const auto& c : cases) {
    std::filesystem::remove(run_dir_ + "/enroll.json");
    if (c.file != nullptr) WriteEnrollment(c.file);
    const Ended ended = StartAdd(c.config, c.pod_namespace).Wait();
    SCOPED_TRACE(c.pod_namespace);
    if (!c.passes) {
      ExpectError(ended, 11);
      continue;
    }
    EXPECT_EQ(ended.exit_code, 0) << ended.out;
    EXPECT_EQ(ended.out, std::string(kPrevResult) + "\n");
  }
}

TEST_F(Plugin, AddTrustsNoEnrolmentFileThatOthersCanWrite) {
  WriteEnrollment(R"({"version":1,"namespaces":{"legacy":"none"},"exemptNamespaces":[]})");
  ASSERT_EQ(::chmod((run_dir_ + "/enroll.json").c_str(), 0666), 0);
  ExpectError(StartAdd("", "legacy").Wait(), 11);
}

TEST_F(Plugin, AddFailsWhenTheAgentDiesOverIt) {
  WriteEnrollment(R"({"version":1,"namespaces":{"legacy":"none"},"exemptNamespaces":[]})");
  Listen();
  auto process = StartAdd("", "legacy");
  ASSERT_TRUE(WaitReadable(listener_.get()));
  connection_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(WaitReadable(connection_.get()));
  ASSERT_TRUE(ReceiveMessage(connection_.get()));
  connection_.Reset();
  ExpectError(process.Wait(), 11);
}

// The one test that needs the plugin's 8 seconds to pass.
TEST_F(Plugin, AddEndsInEightSecondsWhenTheAgentHangs) {
  Listen();
  const Ended ended = StartAdd().Wait();
  ExpectError(ended, 11);
  EXPECT_GE(ended.milliseconds, 7900);
  EXPECT_LT(ended.milliseconds, 9500);
}

TEST_F(Plugin, AddRefusesAGarbledAnswer) {
  Listen();
  auto process = StartAdd();
  ASSERT_TRUE(WaitReadable(listener_.get()));
  connection_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(SendMessage(connection_.get(), "{\"v\":1,\"code\":\"0\"}", -1));
  ExpectError(process.Wait(), 11);
}

TEST_F(Plugin, AddNeedsAPreviousResultAndANetns) {
  Listen();
  ExpectError(Start("ADD").Wait(), 7);
  netns_ = "/nonexistent/netns";
  ExpectError(StartAdd().Wait(), 5);
}

TEST_F(Plugin, AddReplacesTheVersionOfTheResult) {
  Listen();
  version_ = "0.4.0";
  auto process = StartAdd();
  Serve({});
  const std::string out = process.Wait().out;
  EXPECT_NE(out.find(R"("cniVersion":"0.4.0", "interfaces")"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("other" : {"cniVersion":"x", "n":1.50} })"), std::string::npos) << out;
}

TEST_F(Plugin, DelSucceedsForWhatIsGone) {
  netns_ = "";
  ExpectSilentSuccess(Start("DEL").Wait());  // The agent is away.
  Listen();
  auto process = Start("DEL");
  const Request request = Serve({.code = 3, .msg = "never seen"});
  EXPECT_EQ(request.ifname, "eth0");
  EXPECT_FALSE(passed_fd_.valid());
  ExpectSilentSuccess(process.Wait());
}

TEST_F(Plugin, CheckAsksTheAgent) {
  const std::string prev_result = std::string(",\"prevResult\":") + kPrevResult;
  ExpectError(Start("CHECK", prev_result).Wait(), 110);
  Listen();
  auto bad = Start("CHECK", prev_result);
  Serve({.code = 111, .msg = "the listener on 15006 is not there"});
  EXPECT_TRUE(passed_fd_.valid());
  ExpectError(bad.Wait(), 111);
  auto good = Start("CHECK", prev_result);
  Serve({});
  ExpectSilentSuccess(good.Wait());
}

TEST_F(Plugin, StatusIsUnavailableUntilTheFirstAnswerAndThenNeverAgain) {
  version_ = "1.1.0";
  ExpectError(Start("STATUS").Wait(), 50);
  Listen();
  const Ended unanswered = Start("STATUS").Wait();  // Nobody accepts.
  ExpectError(unanswered, 50);
  EXPECT_LT(unanswered.milliseconds, 500);  // 100 on a machine that is not busy with other tests.
  connection_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  auto process = Start("STATUS");
  Serve({});
  ExpectSilentSuccess(process.Wait());
  listener_.Reset();
  ExpectSilentSuccess(Start("STATUS").Wait());
}

TEST_F(Plugin, GcSendsWhatIsStillAttached) {
  version_ = "1.1.0";
  Listen();
  auto process = Start("GC", R"(,"cni.dev/valid-attachments":[{"containerID":"c7","ifname":"eth0"}])");
  const Request request = Serve({});
  EXPECT_EQ(request.attachments, (std::vector<Attachment>{{.container_id = "c7", .ifname = "eth0"}}));
  ExpectSilentSuccess(process.Wait());
}

// What stays when Heddle has left: nobody answers, and nothing may fail for it.
TEST_F(Plugin, TheStubEndsSandboxesAndStandsInNobodysWay) {
  program_ = HEDDLE_CNI_STUB_PATH;
  version_ = "1.1.0";
  for (const char* command : {"DEL", "CHECK", "STATUS", "GC"}) {
    const Ended ended = Start(command).Wait();
    EXPECT_EQ(ended.exit_code, 0) << command;
    EXPECT_EQ(ended.out, "") << command;
  }
  netns_ = "/gone";
  EXPECT_EQ(Start("DEL", ",\"exemptNamespaces\":7").Wait().exit_code, 0);
  const Ended added = StartAdd().Wait();
  EXPECT_EQ(added.exit_code, 0);
  EXPECT_NE(added.out.find("\"other\" : {\"cniVersion\":\"x\", \"n\":1.50}"), std::string::npos) << added.out;
  EXPECT_EQ(added.out.find("1.1.0"), added.out.find("cniVersion") + sizeof("cniVersion\":\"") - 1) << added.out;
  const Ended alone = Start("ADD").Wait();
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_EQ(ErrorCodeOf(alone), 7);
  const Ended version = Start("VERSION").Wait();
  EXPECT_NE(version.out.find("\"supportedVersions\""), std::string::npos) << version.out;
  EXPECT_EQ(Start("SURPRISE").Wait().exit_code, 1);
}

TEST_F(Plugin, VersionAndVersionRules) {
  const Ended version = Start("VERSION").Wait();
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("{\"cniVersion\":\"1.0.0\",\"supportedVersions\"")) << version.out;
  ExpectError(Start("STATUS").Wait(), 1);  // Since 1.1.0.
  version_ = "0.2.0";
  ExpectError(StartAdd().Wait(), 1);
}

TEST_F(Plugin, RefusesGarbageOnItsInputWithASentence) {
  const std::string inputs[] = {"garbage", "", "[1]", std::string(60000, '{')};
  for (const std::string& input : inputs) {
    PluginProcess process({{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", "c"}, {"CNI_NETNS", "/n"}, {"CNI_IFNAME", "e"}},
                          input);
    ExpectError(process.Wait(), 6);
  }
  ExpectError(PluginProcess({{"CNI_COMMAND", "NONSENSE"}}, "{}").Wait(), 4);
}

#ifdef HEDDLE_CNI_STRIPPED
TEST(PluginBinary, IsSmallerThanTwoMegabytes) {
  EXPECT_LT(std::filesystem::file_size(HEDDLE_CNI_PATH), 2u << 20);
}
#endif

}  // namespace
}  // namespace heddle::cni
