#include "agent/xds/state_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/xds/crc32c.h"

namespace heddle::agent {
namespace {

HeldResources Some() {
  HeldResources held;
  HeldKind& addresses = held[static_cast<size_t>(ResourceKind::kAddress)];
  addresses.received = true;
  for (int i = 0; i < 300; ++i) {
    addresses.resources.Put(1, "name-" + std::to_string(i),
                            std::make_shared<const HeldResource>(HeldResource{"v", std::string("\0\xff", 2)}));
  }
  return held;
}

TEST(StateStore, ReadsWhatItWrote) {
  const auto held = DecodeState(EncodeState(Some()).value());
  ASSERT_TRUE(held.ok()) << held.status();
  const HeldKind& addresses = (*held)[static_cast<size_t>(ResourceKind::kAddress)];
  EXPECT_TRUE(addresses.received);
  EXPECT_FALSE((*held)[static_cast<size_t>(ResourceKind::kAuthorization)].received);
  EXPECT_EQ(addresses.resources.size(), 300u);
  EXPECT_EQ((*addresses.resources.Find("name-7"))->value, std::string("\0\xff", 2));
}

TEST(StateStore, RefusesAFileThatWasCutAnywhere) {
  const std::string file = EncodeState(Some()).value();
  for (size_t size = 0; size < file.size(); size += size < 64 ? 1 : 97) {
    EXPECT_FALSE(DecodeState(std::string_view(file).substr(0, size)).ok()) << size;
  }
}

TEST(StateStore, RefusesAFileWithAnyByteChanged) {
  const std::string file = EncodeState(Some()).value();
  for (size_t at = 0; at < file.size(); at += at < 64 ? 1 : 97) {
    std::string changed = file;
    changed[at] ^= 0x10;
    EXPECT_FALSE(DecodeState(changed).ok()) << at;
  }
}

// Decision 017: it is another format, and says so.
TEST(StateStore, RefusesAFileOfAnotherFormatWithASentence) {
  std::string file = *EncodeState({});
  ASSERT_EQ(file[7], '\x01');
  file[7] = '\x02';
  const auto held = DecodeState(file);
  ASSERT_FALSE(held.ok());
  EXPECT_NE(std::string(held.status().message()).find("of this version"), std::string::npos)
      << held.status();
}

TEST(StateStore, ChecksumIsCrc32c) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
}

}  // namespace
}  // namespace heddle::agent
