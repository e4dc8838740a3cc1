#include "lib/grpc/framing.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::grpc {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// All messages in `text`, fed in pieces; an error's code name ends the list.
std::vector<std::string> Split(std::string_view text, size_t piece, size_t max = 100) {
  MessageReader reader(max);
  std::vector<std::string> messages;
  while (!text.empty()) {
    const auto taken = reader.Feed(Bytes(text.substr(0, piece)));
    if (!taken.ok()) {
      messages.emplace_back(absl::StatusCodeToString(taken.status().code()));
      return messages;
    }
    text.remove_prefix(*taken);
    while (auto message = reader.TakeMessage()) messages.push_back(*message);
  }
  if (reader.partial()) messages.emplace_back("partial");
  return messages;
}

TEST(MessageReader, CutsAStreamIntoMessagesWhateverThePieces) {
  const std::string text = Frame("one") + Frame("") + Frame(std::string(100, 'x'));
  const std::vector<std::string> want = {"one", "", std::string(100, 'x')};
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{5}, size_t{7}, size_t{1000}}) {
    EXPECT_EQ(Split(text, piece), want) << piece;
  }
}

TEST(MessageReader, RefusesWhatItDoesNotAccept) {
  const struct {
    std::string name;
    std::string input;
    std::vector<std::string> want;
  } cases[] = {
      {"one byte too large", Frame(std::string(101, 'x')), {"RESOURCE_EXHAUSTED"}},
      {"4 GiB announced", std::string("\0\xff\xff\xff\xff", 5), {"RESOURCE_EXHAUSTED"}},
      {"compressed", std::string("\1\0\0\0\1x", 6), {"UNIMPLEMENTED"}},
      {"broken flag", std::string("\2\0\0\0\1x", 6), {"INTERNAL"}},
      {"cut in the prefix", Frame("a") + std::string("\0\0", 2), {"a", "partial"}},
      {"cut in the message", Frame("ab").substr(0, 6), {"partial"}},
  };
  for (const auto& c : cases) EXPECT_EQ(Split(c.input, 1000), c.want) << c.name;
}

TEST(MessageReader, TakesMemoryAsBytesComeAndNotOnThePeersWord) {
  MessageReader reader(200u << 20);
  ASSERT_TRUE(reader.Feed(Bytes(std::string("\0\x0c\x80\0\0", 5))).ok());
  EXPECT_TRUE(reader.partial());
  EXPECT_FALSE(reader.TakeMessage());
}

}  // namespace
}  // namespace heddle::grpc
