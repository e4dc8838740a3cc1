#include "lib/base/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/unique_fd.h"

namespace heddle {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  // What is there until the other end has been closed.
  std::string ReadAll() {
    std::string all;
    std::array<char, 4096> block{};
    for (ssize_t got = 0; (got = ::read(read.get(), block.data(), block.size())) > 0;)
      all.append(block.data(), static_cast<size_t>(got));
    return all;
  }
  UniqueFd read;
  UniqueFd write;
};

TEST(LineWriter, WritesALineAtOnce) {
  Pipe pipe;
  LineWriter writer(pipe.write.get(), 1000);
  writer.Add("first");
  std::array<char, 6> line{};
  ASSERT_EQ(::read(pipe.read.get(), line.data(), line.size()), 6);
  EXPECT_EQ(std::string(line.data(), line.size()), "first\n");
}

TEST(LineWriter, KeepsTheLinesOfEachThreadInOrder) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  Pipe pipe;
  std::optional<LineWriter> writer(std::in_place, pipe.write.get(), size_t{1} << 20);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&writer, thread] {
      for (int line = 0; line < kLines; ++line) writer->Add(std::to_string(thread * kLines + line));
    });
  }
  for (std::thread& thread : threads) thread.join();
  writer.reset();  // Writes what is waiting: less than a pipe holds.
  pipe.write = UniqueFd();
  std::array<int, kThreads> next{};
  const std::string all = pipe.ReadAll();
  for (size_t begin = 0; begin < all.size(); begin = all.find('\n', begin) + 1) {
    const int number = std::stoi(all.substr(begin));
    EXPECT_EQ(number % kLines, next[static_cast<size_t>(number / kLines)]++);
  }
  for (const int count : next) EXPECT_EQ(count, kLines);
}

TEST(LineWriter, DropsAndCountsWhatNobodyReads) {
  Pipe pipe;
  ASSERT_GT(::fcntl(pipe.write.get(), F_SETPIPE_SZ, 4096), 0);
  const std::string line(999, 'x');
  std::optional<LineWriter> writer(std::in_place, pipe.write.get(), size_t{10'000});
  for (int i = 0; i < 1000; ++i) writer->Add(line);
  const uint64_t dropped = writer->dropped_total();
  EXPECT_GT(dropped, 900u);  // The pipe, the write under way and what waits take a few dozen.
  std::string all;
  std::thread reader([&pipe, &all] { all = pipe.ReadAll(); });
  writer.reset();
  pipe.write = UniqueFd();
  reader.join();
  EXPECT_EQ(all.size(), (1000 - dropped) * 1000);
}

}  // namespace
}  // namespace heddle
