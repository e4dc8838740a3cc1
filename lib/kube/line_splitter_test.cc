#include "lib/kube/line_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace heddle::kube {
namespace {

using testing::ElementsAre;

std::vector<std::string> Lines(LineSplitter& splitter, std::string_view bytes) {
  splitter.Feed({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  std::vector<std::string> lines;
  while (const auto line = splitter.Next()) lines.emplace_back(*line);
  return lines;
}

TEST(LineSplitter, FindsLinesHoweverTheBytesWereCut) {
  const std::string text = "one\ntwo two\r\n\nthree\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    LineSplitter splitter(100);
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size(); at += step) {
      for (std::string& line : Lines(splitter, std::string_view(text).substr(at, step)))
        lines.push_back(std::move(line));
    }
    EXPECT_THAT(lines, ElementsAre("one", "two two", "three")) << step;
    EXPECT_EQ(splitter.pending(), 0U);
  }
}

TEST(LineSplitter, KeepsALineThatIsNotComplete) {
  LineSplitter splitter(100);
  EXPECT_THAT(Lines(splitter, "one\ntw"), ElementsAre("one"));
  EXPECT_EQ(splitter.pending(), 2U);
  EXPECT_THAT(Lines(splitter, "o\n"), ElementsAre("two"));
}

TEST(LineSplitter, GivesUpOnALineOverTheLimitWithOrWithoutItsEnd) {
  LineSplitter exact(4);
  EXPECT_THAT(Lines(exact, "four\n"), ElementsAre("four"));
  EXPECT_FALSE(exact.overflow());
  EXPECT_THAT(Lines(exact, "ok\nfive5\nok\n"), ElementsAre("ok"));
  EXPECT_TRUE(exact.overflow());
  EXPECT_THAT(Lines(exact, "ok\n"), ElementsAre());

  LineSplitter endless(4);
  EXPECT_THAT(Lines(endless, "five5"), ElementsAre());
  EXPECT_TRUE(endless.overflow());
}

}  // namespace
}  // namespace heddle::kube
