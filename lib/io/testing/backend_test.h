#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "lib/io/socket.h"
#include "lib/io/testing/co_test.h"

namespace heddle::io {

// A test that holds for every backend of the kernel: INSTANTIATE_BACKENDS(MyTest) after `class MyTest : public
// BackendTest {}`.
class BackendTest : public ::testing::TestWithParam<BackendChoice> {
 public:
  BackendTest();
  ~BackendTest() override;
  void SetUp() override;

  // A connected pair over loopback.
  struct Ends {
    std::unique_ptr<Connection> client;
    std::unique_ptr<Connection> server;
  };
  Task<Ends> ConnectEnds();

  SystemClock clock;
  std::unique_ptr<Loop> own_loop;
  Loop& loop;
  KernelNetwork network;
};

std::string BackendName(const ::testing::TestParamInfo<BackendChoice>& info);

std::span<const uint8_t> BytesOf(std::string_view text);
// Until the orderly end.
Task<Result<std::string>> ReadAll(Stream& stream, StopToken stop = {});
// Exactly `size` bytes, or what came before the end.
Task<Result<std::string>> ReadExactly(Stream& stream, size_t size, StopToken stop = {});
// Descriptors open in this process.
size_t OpenDescriptors();

}  // namespace heddle::io

#define INSTANTIATE_BACKENDS(suite)                                                                          \
  INSTANTIATE_TEST_SUITE_P(Backends, suite,                                                                  \
                           ::testing::Values(::heddle::io::BackendChoice::kEpoll,                            \
                                             ::heddle::io::BackendChoice::kIoUring),                         \
                           ::heddle::io::BackendName)
