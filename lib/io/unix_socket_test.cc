// Unix sockets with whole messages and descriptors, on every backend.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "lib/io/testing/backend_test.h"

namespace heddle::io {
namespace {

class UnixSocketTest : public BackendTest {
 public:
  UnixSocketTest() : folder(::testing::TempDir() + "heddle-unix-XXXXXX") {
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    path = folder + "/socket";
  }
  ~UnixSocketTest() override { std::filesystem::remove_all(folder); }
  std::string folder;
  std::string path;
};
INSTANTIATE_BACKENDS(UnixSocketTest);

// A blocking client without the library under test.
UniqueFd Connect(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fd.Reset();
  return fd;
}

bool SendWithDescriptors(int to, std::string_view text, const std::vector<int>& descriptors) {
  alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
  iovec bytes{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(to, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::string TextOf(const UnixMessage& message) { return {message.bytes.begin(), message.bytes.end()}; }

CO_TEST_P(UnixSocketTest, ExchangesWholeMessages) {
  auto listener = UnixListener::Listen(loop, test.path, SOCK_SEQPACKET, 0600);
  CO_ASSERT_TRUE(listener);
  const UniqueFd client = Connect(test.path);
  auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  UnixPacketConnection server(loop, *std::move(accepted));
  EXPECT_TRUE(SendWithDescriptors(client.get(), "one", {}));
  EXPECT_TRUE(SendWithDescriptors(client.get(), "two", {}));
  EXPECT_EQ(TextOf((co_await server.Receive(100, {})).value()), "one");
  EXPECT_EQ(TextOf((co_await server.Receive(100, {})).value()), "two");
  EXPECT_TRUE(co_await server.Send(BytesOf("three"), {}));
  char answer[10];
  EXPECT_EQ(::recv(client.get(), answer, sizeof(answer), 0), 5);
  EXPECT_EQ(server.peer_credentials().value().pid, ::getpid());
}

CO_TEST_P(UnixSocketTest, ReportsThePeersEndAndTheDeadline) {
  int ends[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  UnixPacketConnection server(loop, UniqueFd(ends[0]));
  UniqueFd client(ends[1]);
  Deadline soon(loop, {}, absl::Milliseconds(5));
  EXPECT_TRUE((co_await server.Receive(100, soon.token())).error().is(IoCode::kDeadline));
  client.Reset();
  EXPECT_TRUE((co_await server.Receive(100, {})).value().bytes.empty());
  EXPECT_TRUE((co_await server.Send(BytesOf("x"), {})).error().is_errno(EPIPE));
}

CO_TEST_P(UnixSocketTest, ReceivesADescriptor) {
  int ends[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  UnixPacketConnection server(loop, UniqueFd(ends[0]));
  const UniqueFd client(ends[1]);
  EXPECT_TRUE(SendWithDescriptors(client.get(), "take it", {client.get()}));
  const auto message = co_await server.Receive(100, {});
  CO_ASSERT_TRUE(message);
  EXPECT_TRUE(message->descriptor.valid());
  EXPECT_FALSE(message->truncated);
  EXPECT_EQ(::fcntl(message->descriptor.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

CO_TEST_P(UnixSocketTest, ClosesAllDescriptorsOfAMessageWithSeveral) {
  int ends[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  UnixPacketConnection server(loop, UniqueFd(ends[0]));
  const UniqueFd client(ends[1]);
  co_await loop.Yield();
  const size_t before = OpenDescriptors();
  EXPECT_TRUE(SendWithDescriptors(client.get(), "three", {client.get(), client.get(), client.get()}));
  const auto message = co_await server.Receive(100, {});
  CO_ASSERT_TRUE(message);
  EXPECT_TRUE(message->truncated);
  EXPECT_FALSE(message->descriptor.valid());
  EXPECT_EQ(OpenDescriptors(), before);
}

CO_TEST_P(UnixSocketTest, SaysThatAMessageWasTruncatedAndClosesItsDescriptor) {
  int ends[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  UnixPacketConnection server(loop, UniqueFd(ends[0]));
  const UniqueFd client(ends[1]);
  const size_t before = OpenDescriptors();
  EXPECT_TRUE(SendWithDescriptors(client.get(), "longer than asked", {client.get()}));
  const auto message = co_await server.Receive(6, {});
  CO_ASSERT_TRUE(message);
  EXPECT_TRUE(message->truncated);
  EXPECT_EQ(TextOf(*message), "longer");
  EXPECT_EQ(OpenDescriptors(), before);
}

CO_TEST_P(UnixSocketTest, ReplacesAStaleSocketFileButNotALiveOne) {
  auto first = UnixListener::Listen(loop, test.path, SOCK_SEQPACKET, 0600);
  CO_ASSERT_TRUE(first);
  EXPECT_TRUE(UnixListener::Listen(loop, test.path, SOCK_SEQPACKET, 0600).error().is_errno(EADDRINUSE));
  const std::string kept = test.path + ".kept";
  std::filesystem::rename(test.path, kept);  // The file outlives its listener, as after a kill.
  first->reset();
  std::filesystem::rename(kept, test.path);
  auto second = UnixListener::Listen(loop, test.path, SOCK_SEQPACKET, 0640);
  CO_ASSERT_TRUE(second);
  struct stat status {};
  EXPECT_EQ(::stat(test.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  second->reset();
  EXPECT_FALSE(std::filesystem::exists(test.path)) << "the file goes with its listener";
}

CO_TEST_P(UnixSocketTest, LeavesAFileThatIsNoSocketAlone) {
  std::ofstream(test.path) << "precious";
  EXPECT_TRUE(UnixListener::Listen(loop, test.path, SOCK_STREAM, 0600).error().is_errno(EADDRINUSE));
  EXPECT_EQ(std::filesystem::file_size(test.path), 8u);
  co_return;
}

CO_TEST_P(UnixSocketTest, CarriesAStream) {
  int ends[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  auto first = MakeConnection(loop, UniqueFd(ends[0]));
  auto second = MakeConnection(loop, UniqueFd(ends[1]));
  EXPECT_TRUE(co_await first->Write(BytesOf("hello"), {}));
  EXPECT_TRUE(co_await first->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*second), "hello");
}

}  // namespace
}  // namespace heddle::io
