#pragma once

#include <gtest/gtest.h>

#include "lib/io/loop.h"

namespace heddle::io {

// Runs a test's coroutine to its end on `loop`.
void RunCoTest(Loop& loop, Task<void> body);
// The same on a loop of its own, with the real clock and the epoll backend.
void RunCoTest(Task<void> (*body)(Loop& loop));

}  // namespace heddle::io

// A test that is a coroutine, on a loop with the epoll backend that it sees as `loop`:
//     CO_TEST(Pipe, DeliversWhatWasWritten) {
//       auto [client, server] = io::MakePipe(loop);
//       EXPECT_TRUE(co_await client->Write(bytes, {}));
//     }
// GoogleTest's ASSERT_x contain `return`: use CO_ASSERT_TRUE in its place.
#define CO_TEST(suite, name)                                                                        \
  static ::heddle::Task<void> suite##_##name##_Body([[maybe_unused]] ::heddle::io::Loop& loop);     \
  TEST(suite, name) { ::heddle::io::RunCoTest(&suite##_##name##_Body); }                            \
  static ::heddle::Task<void> suite##_##name##_Body([[maybe_unused]] ::heddle::io::Loop& loop)

// The same for TEST_P and TEST_F: the fixture, which has a member `loop` with a reference or an object of type
// Loop, is `test`.
#define CO_TEST_WITH_(kind, suite, name)                                                             \
  static ::heddle::Task<void> suite##_##name##_Body(suite& test, ::heddle::io::Loop& loop);          \
  kind(suite, name) {                                                                                \
    ::heddle::io::RunCoTest(this->loop, suite##_##name##_Body(*this, this->loop));                   \
  }                                                                                                  \
  static ::heddle::Task<void> suite##_##name##_Body([[maybe_unused]] suite& test,                    \
                                                    [[maybe_unused]] ::heddle::io::Loop& loop)
#define CO_TEST_P(suite, name) CO_TEST_WITH_(TEST_P, suite, name)
#define CO_TEST_F(suite, name) CO_TEST_WITH_(TEST_F, suite, name)

// Ends the test's coroutine when the condition does not hold.
#define CO_ASSERT_TRUE(...)                          \
  if (const bool co_assert_true = static_cast<bool>(__VA_ARGS__); !co_assert_true) { \
    ADD_FAILURE() << "is not true: " #__VA_ARGS__;   \
    co_return;                                       \
  } else                                             \
    static_cast<void>(0)
