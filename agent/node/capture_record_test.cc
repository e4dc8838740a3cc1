#include "agent/node/capture_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace heddle::agent {
namespace {

CaptureRecord MakeRecord(std::string uid) {
  CaptureRecord record;
  record.uid = std::move(uid);
  record.namespace_name = "shop";
  record.name = "web-0";
  record.netns_path = "/run/netns/x";
  record.netns = {7, 4026532000};
  record.netns_cookie = 4110;
  record.addresses = {io::IpAddress::V4(10, 1, 0, 2), *io::IpAddress::Parse("fd00::2")};
  record.sysctls_before = {{"net/ipv4/tcp_tw_reuse", "2"}};
  record.captured_unix_ns = 1'800'000'000'000'000'000;
  return record;
}

class CaptureRecordStoreTest : public testing::Test {
 protected:
  CaptureRecordStoreTest()
      : directory_(testing::TempDir() + "/capture_records_" + std::to_string(::getpid())) {}
  ~CaptureRecordStoreTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST(CaptureRecord, SurvivesItsEncoding) {
  const CaptureRecord record = MakeRecord("0b1c-2");
  const auto decoded = DecodeCaptureRecord(EncodeCaptureRecord(record));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, record);
}

TEST(CaptureRecord, RefusesWhatIsNoRecord) {
  for (const char* text : {"", "{}", "[]", "null", "{\"uid\":1}", "{\"uid\":\"a\"", "\xff"}) {
    EXPECT_FALSE(DecodeCaptureRecord(text).ok()) << text;
  }
  EXPECT_FALSE(DecodeCaptureRecord(EncodeCaptureRecord(MakeRecord("../x"))).ok());
}

TEST_F(CaptureRecordStoreTest, LoadsWhatWasSavedAndNamesWhatItCannotRead) {
  auto store = CaptureRecordStore::Open(directory_);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(store->Save(MakeRecord("a")).ok());
  ASSERT_TRUE(store->Save(MakeRecord("b")).ok());
  std::ofstream(directory_ + "/c.json") << "{";
  std::vector<std::string> unreadable;
  EXPECT_THAT(store->Load(unreadable),
              testing::UnorderedElementsAre(MakeRecord("a"), MakeRecord("b")));
  EXPECT_THAT(unreadable, testing::ElementsAre(testing::HasSubstr("c.json")));
}

TEST_F(CaptureRecordStoreTest, RemovesTwiceWithoutError) {
  auto store = CaptureRecordStore::Open(directory_);
  ASSERT_TRUE(store->Save(MakeRecord("a")).ok());
  EXPECT_TRUE(store->Remove("a").ok());
  EXPECT_TRUE(store->Remove("a").ok());
  std::vector<std::string> unreadable;
  EXPECT_THAT(store->Load(unreadable), testing::IsEmpty());
}

TEST_F(CaptureRecordStoreTest, RefusesAUidThatIsAPath) {
  auto store = CaptureRecordStore::Open(directory_);
  EXPECT_FALSE(store->Save(MakeRecord("../../etc/x")).ok());
  EXPECT_FALSE(store->Remove("a/b").ok());
}

}  // namespace
}  // namespace heddle::agent
