#include "agent/xds/state_store.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "agent/xds/crc32c.h"
#include "lib/base/strings.h"
#include "proto/stored_state.pb.h"

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
  const std::string file = EncodeState(Some()).value();
  const auto state = ViewState(file);
  ASSERT_TRUE(state.ok()) << state.status();
  const HeldResources held = HoldAll(*state);
  const HeldKind& addresses = held[static_cast<size_t>(ResourceKind::kAddress)];
  EXPECT_TRUE(addresses.received);
  EXPECT_FALSE(held[static_cast<size_t>(ResourceKind::kAuthorization)].received);
  EXPECT_EQ(addresses.resources.size(), 300u);
  EXPECT_EQ((*addresses.resources.Find("name-7"))->value, std::string("\0\xff", 2));
}

TEST(StateStore, WritesWhatIsNamedAlikeSideBySide) {
  HeldResources held;
  HeldKind& addresses = held[static_cast<size_t>(ResourceKind::kAddress)];
  for (int i = 0; i < 1000; ++i) {
    const std::string name = absl::StrCat("Kubernetes//Pod/default/web-", i % 50, "-", i);
    addresses.resources.Put(1, name, std::make_shared<const HeldResource>(HeldResource{"v", "x"}));
  }
  const std::string file = EncodeState(held).value();
  const auto state = ViewState(file);
  ASSERT_TRUE(state.ok()) << state.status();
  std::set<std::string_view> groups;
  std::string_view last;
  for (const ResourceView& resource : (*state)[static_cast<size_t>(ResourceKind::kAddress)].resources) {
    const std::string_view group = resource.name.substr(0, resource.name.rfind('-'));
    if (group != last) EXPECT_TRUE(groups.insert(group).second) << group;
    last = group;
  }
  EXPECT_EQ(groups.size(), 50u);
}

TEST(StateStore, RefusesAFileThatWasCutAnywhere) {
  const std::string file = EncodeState(Some()).value();
  for (size_t size = 0; size < file.size(); size += size < 64 ? 1 : 97) {
    EXPECT_FALSE(ViewState(std::string_view(file).substr(0, size)).ok()) << size;
  }
}

TEST(StateStore, RefusesAFileWithAnyByteChanged) {
  const std::string file = EncodeState(Some()).value();
  for (size_t at = 0; at < file.size(); at += at < 64 ? 1 : 97) {
    std::string changed = file;
    changed[at] ^= 0x10;
    EXPECT_FALSE(ViewState(changed).ok()) << at;
  }
}

TEST(StateStore, RefusesWhatWasNeverAStateFile) {
  for (const std::string& text : {std::string(), std::string("HDSTATE"), std::string(5000, 'x')}) {
    EXPECT_TRUE(absl::IsDataLoss(ViewState(text).status())) << text.size();
  }
}

TEST(StateStore, RefusesABodyThatIsNoMessage) {
  constexpr std::string_view kBodies[] = {
      {"\x0a\x05\x0a\x01", 4},              // A kind that ends behind the body,
      {"\x0a\x03\x1a\x05\x0a", 5},          // a resource that ends behind its kind,
      {"\x0a\x04\x1a\x02\x0a\x07", 6},      // a name that ends behind its resource.
      {"\x0a\xff\xff\xff\xff\x0f", 6},      // 4 GiB.
      {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},  // A length of too many bytes.
      {"\x0a", 1},                           // No length,
      {"\x08", 1},                           // no varint,
      {"\x08\x80", 2},                       // half of one,
      {"\x80", 1},                           // half a tag.
      {"\x02\x00", 2},                       // Field 0.
      {"\x0b\x0c", 2},                       // A group.
      {"\x09\x01\x02", 3},                   // Eight bytes,
      {"\x0d\x01\x02", 3},                   // four bytes: they are not there.
  };
  for (const std::string_view body : kBodies) {
    const absl::Status status = ViewState(WithHeader(body)).status();
    EXPECT_NE(std::string(status.message()).find("no StoredState"), std::string::npos)
        << absl::CHexEscape(ToAbsl(body)) << ": " << status;
  }
}

TEST(StateStore, LeavesOutWhatItDoesNotKnow) {
  heddle::store::v1::StoredState state;
  state.add_kinds()->set_type_url("type.example.org/of.tomorrow");
  auto& kind = *state.add_kinds();
  kind.set_type_url(std::string(TypeUrl(ResourceKind::kAuthorization)));
  kind.add_resources()->set_name("name");
  // Field 100 in each of the wire types; and `resources` as a number.
  const std::string unknown("\xa0\x06\x01\xa1\x06" "12345678" "\xa2\x06\x01x\xa5\x06" "1234" "\x18\x07", 25);
  const std::string kind_bytes = kind.SerializeAsString() + unknown;
  kind.Clear();
  std::string body = state.SerializeAsString();  // With an empty kind at its end, which is nothing.
  body += absl::StrCat("\x0a", std::string(1, static_cast<char>(kind_bytes.size())), kind_bytes);
  ASSERT_LT(kind_bytes.size(), 128u);
  const std::string file = WithHeader(body);
  const auto view = ViewState(file);
  ASSERT_TRUE(view.ok()) << view.status();
  const KindView& policies = (*view)[static_cast<size_t>(ResourceKind::kAuthorization)];
  ASSERT_EQ(policies.resources.size(), 1u);
  EXPECT_EQ(policies.resources[0].name, "name");
}

// Decision 017: it is another format, and says so.
TEST(StateStore, RefusesAFileOfAnotherFormatWithASentence) {
  std::string file = *EncodeState({});
  ASSERT_EQ(file[7], '\x01');
  file[7] = '\x02';
  const auto state = ViewState(file);
  ASSERT_FALSE(state.ok());
  EXPECT_NE(std::string(state.status().message()).find("of this version"), std::string::npos) << state.status();
}

// RFC 3720, appendix B.4; then of every length up to some words, the instruction beside the tables.
TEST(StateStore, ChecksumIsCrc32c) {
  for (uint32_t (*crc)(std::string_view) : {&Crc32c, &Crc32cByTables}) {
    EXPECT_EQ(crc(std::string(32, '\0')), 0x8a9136aau);
    EXPECT_EQ(crc("123456789"), 0xe3069283u);
  }
  std::string bytes;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(Crc32c(bytes), Crc32cByTables(bytes)) << i;
    bytes += static_cast<char>(37 * i);
  }
}

}  // namespace
}  // namespace heddle::agent
