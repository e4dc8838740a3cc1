#include "lib/io/testing/backend_test.h"

#include <filesystem>

namespace heddle::io {
namespace {

constexpr size_t kBufferLimit = 64u << 20;

// Without io_uring the loop is an epoll loop, and SetUp() says that the test is skipped.
std::unique_ptr<Loop> MakeLoop(Clock& clock, BackendChoice choice) {
  const BackendChoice tried = choice == BackendChoice::kIoUring ? BackendChoice::kAuto : choice;
  return std::make_unique<Loop>(clock, LoopOptions{.backend = tried, .buffer_limit_bytes = kBufferLimit});
}

}  // namespace

BackendTest::BackendTest() : own_loop(MakeLoop(clock, GetParam())), loop(*own_loop) {}
BackendTest::~BackendTest() = default;

void BackendTest::SetUp() {
  if (!loop.fallback_reason().empty()) GTEST_SKIP() << "no io_uring here: " << loop.fallback_reason();
}

Task<BackendTest::Ends> BackendTest::ConnectEnds() {
  auto listener = network.Listen(loop, SocketAddress{IpAddress::V4(127, 0, 0, 1), 0});
  CHECK(listener.has_value());
  ConnectOptions options;
  options.to = (*listener)->local();
  auto client = co_await network.Connect(loop, std::move(options), {});
  CHECK(client.has_value());
  auto accepted = co_await (*listener)->Accept({});
  CHECK(accepted.has_value());
  Ends ends;
  ends.client = *std::move(client);
  ends.server = (*accepted)->Attach(loop);
  co_return ends;
}

std::string BackendName(const ::testing::TestParamInfo<BackendChoice>& info) {
  return info.param == BackendChoice::kEpoll ? "Epoll" : "IoUring";
}

std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Task<Result<std::string>> ReadAll(Stream& stream, StopToken stop) {
  return ReadExactly(stream, SIZE_MAX, stop);
}

Task<Result<std::string>> ReadExactly(Stream& stream, size_t size, StopToken stop) {
  std::string all;
  while (all.size() < size) {
    CO_TRY(const Buffer buffer, co_await stream.Read(BufferPool::kSmall, stop));
    if (buffer.empty()) break;
    all.append(buffer.bytes().begin(), buffer.bytes().end());
  }
  co_return all;
}

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator listing("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(listing), end(listing)));
}

}  // namespace heddle::io
