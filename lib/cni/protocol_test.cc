#include "lib/cni/protocol.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"
#include "lib/cni/enrollment.h"
#include "lib/cni/seqpacket.h"

namespace heddle::cni {
namespace {

Request AddRequest() {
  return {.command = Command::kAdd,
          .container_id = "c1",
          .netns = "/run/netns/a",
          .ifname = "eth0",
          .network = "pods",
          .pod = {.pod_namespace = "shop", .name = "web-0", .uid = "u-1"},
          .ips = {"10.0.1.2", "fd00::2"}};
}

TEST(Protocol, RequestsAndRepliesReadBack) {
  EXPECT_EQ(DecodeRequest(*EncodeRequest(AddRequest())), AddRequest());
  const Request gc{.command = Command::kGc, .attachments = {{.container_id = "c1", .ifname = "eth0"}}};
  EXPECT_EQ(DecodeRequest(*EncodeRequest(gc)), gc);
  const Reply reply{.code = 11, .msg = "wait \"a\" while", .details = "x\n"};
  EXPECT_EQ(DecodeReply(EncodeReply(reply)), reply);
}

TEST(Protocol, RefusesToBuildAMessageThatIsTooLong) {
  Request request = AddRequest();
  request.attachments.resize(kMaxAttachments, {.container_id = std::string(200, 'a'), .ifname = "eth0"});
  EXPECT_FALSE(EncodeRequest(request));
}

TEST(Protocol, RefusesMessagesThatAreNotWhatTheyMustBe) {
  const struct {
    const char* message;
    int code;
  } cases[] = {
      {"", 6},
      {"{}", 6},
      {"[1]", 6},
      {R"({"v":2,"command":"STATUS"})", 1},
      {R"({"v":1})", 4},
      {R"({"v":1,"command":"VERSION"})", 4},
      {R"({"v":1,"command":"EXEC"})", 4},
      {R"({"v":1,"command":"STATUS"})", 0},
      {R"({"v":1,"command":"DEL","containerId":"c1","ifname":"eth0"})", 0},
      {R"({"v":1,"command":"DEL","containerId":"c1"})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0"})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0","netns":"relative"})", 4},
      {R"({"v":1,"command":"ADD","containerId":"../c","ifname":"eth0","netns":"/a"})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0","netns":"/a\u0000b"})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0","netns":"/a","ips":["10.0.0.300"]})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0","netns":"/a","pod":{"uid":"a b"}})", 4},
      {R"({"v":1,"command":"ADD","containerId":"c1","ifname":"eth0","netns":"/a","pod":[]})", 4},
      {R"({"v":1,"command":"GC","attachments":[{"containerId":"c1"}]})", 4},
  };
  for (const auto& c : cases) {
    const auto request = DecodeRequest(c.message);
    EXPECT_EQ(request ? 0 : static_cast<int>(request.error().code), c.code) << c.message;
  }
  EXPECT_FALSE(DecodeRequest("{\"v\":1,\"command\":\"STATUS\"}" + std::string(kMaxMessageBytes, ' ')));
}

TEST(Protocol, RefusesRepliesThatAreNone) {
  for (const char* message : {"", "{}", R"({"v":1})", R"({"v":1,"code":"0"})", R"({"v":1,"code":-1})",
                              R"({"v":1,"code":0,"msg":1})", R"({"v":3,"code":0})"}) {
    EXPECT_FALSE(DecodeReply(message)) << message;
  }
}

TEST(Protocol, CutsLongSentences) {
  const auto reply = DecodeReply(EncodeReply({.code = 5, .msg = std::string(100000, '\xff')}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->msg.size(), 3 * kMaxReplyTextBytes);
}

TEST(Enrollment, ReadsBackAndRefusesOtherForms) {
  const Enrollment enrollment{.namespaces = {{"shop", NamespaceEnrollment::kEnrolled},
                                             {"legacy", NamespaceEnrollment::kNone},
                                             {"lab", NamespaceEnrollment::kMixed}},
                              .exempt_namespaces = {"kube-system"}};
  EXPECT_EQ(DecodeEnrollment(EncodeEnrollment(enrollment)), enrollment);
  EXPECT_EQ(DecodeEnrollment(EncodeEnrollment({})), Enrollment{});
  for (const char* text : {"", "{}", R"({"version":2,"namespaces":{},"exemptNamespaces":[]})",
                           R"({"version":1,"namespaces":{"a":"maybe"},"exemptNamespaces":[]})",
                           R"({"version":1,"namespaces":{},"exemptNamespaces":[1]})",
                           R"({"version":1,"namespaces":{}})"}) {
    EXPECT_FALSE(DecodeEnrollment(text)) << text;
  }
}

TEST(Enrollment, LetsOnlyKnownOutsidersStart) {
  const Enrollment enrollment{.namespaces = {{"shop", NamespaceEnrollment::kEnrolled},
                                             {"legacy", NamespaceEnrollment::kNone},
                                             {"lab", NamespaceEnrollment::kMixed}},
                              .exempt_namespaces = {"kube-system"}};
  EXPECT_FALSE(MayStartWithoutAgent(&enrollment, "shop"));
  EXPECT_TRUE(MayStartWithoutAgent(&enrollment, "legacy"));
  EXPECT_FALSE(MayStartWithoutAgent(&enrollment, "lab"));
  EXPECT_TRUE(MayStartWithoutAgent(&enrollment, "kube-system"));
  EXPECT_FALSE(MayStartWithoutAgent(&enrollment, "unknown"));
  EXPECT_FALSE(MayStartWithoutAgent(&enrollment, ""));
  EXPECT_FALSE(MayStartWithoutAgent(nullptr, "legacy"));
}

struct SocketPair {
  SocketPair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    a.Reset(fds[0]);
    b.Reset(fds[1]);
  }
  UniqueFd a, b;
};

// The lowest free descriptor: two readings are equal when nothing has leaked in between.
int LowestFreeFd() {
  const UniqueFd probe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return probe.get();
}

TEST(Seqpacket, PassesBytesAndOneDescriptor) {
  SocketPair pair;
  const UniqueFd passed(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(SendMessage(pair.a.get(), "hello", passed.get()));
  ASSERT_TRUE(SendMessage(pair.a.get(), "again", -1));
  const auto first = ReceiveMessage(pair.b.get());
  const auto second = ReceiveMessage(pair.b.get());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->bytes, "hello");
  struct stat sent{}, got{};
  ASSERT_EQ(::fstat(passed.get(), &sent), 0);
  ASSERT_EQ(::fstat(first->fd.get(), &got), 0);
  EXPECT_EQ(sent.st_rdev, got.st_rdev);
  EXPECT_NE(::fcntl(first->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(second->bytes, "again");
  EXPECT_FALSE(second->fd.valid());
}

TEST(Seqpacket, SaysWhenNothingIsThereAndWhenThePeerIsGone) {
  SocketPair pair;
  EXPECT_EQ(ReceiveMessage(pair.b.get()).error(), EAGAIN);
  pair.a.Reset();
  const auto end = ReceiveMessage(pair.b.get());
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->bytes.empty());
  EXPECT_EQ(SendMessage(pair.b.get(), "x", -1).error(), EPIPE);
}

void SendDescriptors(int socket, const std::array<int, 3>& fds) {
  char byte = 'x';
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
  msghdr message{.msg_iov = &data, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(fds));
  std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(fds));
  ASSERT_EQ(::sendmsg(socket, &message, 0), 1);
}

TEST(Seqpacket, RefusesSurplusDescriptorsAndLongMessagesAndKeepsNone) {
  SocketPair pair;
  const int before = LowestFreeFd();
  SendDescriptors(pair.a.get(), {0, 1, 2});
  EXPECT_EQ(ReceiveMessage(pair.b.get()).error(), EPROTO);
  ASSERT_TRUE(SendMessage(pair.a.get(), std::string(kMaxMessageBytes + 1, 'x'), 0));
  EXPECT_EQ(ReceiveMessage(pair.b.get()).error(), EMSGSIZE);
  EXPECT_EQ(LowestFreeFd(), before);
}

}  // namespace
}  // namespace heddle::cni
