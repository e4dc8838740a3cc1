#include "agent/node/cni_chain_edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

using Verdict = ChainEdit::Verdict;

const CniEntry kEntry{.run_dir = "/run/heddle", .exempt_namespaces = {"kube-system"}};
constexpr char kOurs[] =
    R"({"type":"heddle-cni","runDir":"/run/heddle","exemptNamespaces":["kube-system"]})";

ChainEdit Insert(std::string_view text, std::string_view name = "10-x.conflist") {
  return InsertEntry({name, text}, kEntry);
}

TEST(CniChainEdit, PutsTheEntryAtTheEndAndLeavesEveryOtherByte) {
  const std::pair<std::string, std::string> rows[] = {
      {R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]})",
       std::string(R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"},)") + kOurs +
           "]}"},
      {"{\"name\": \"a\", \"cniVersion\": \"0.3.1\", \"odd\": 1.50e0,\n  \"plugins\": [\n    "
       "{\"type\": \"x\", "
       "\"u\": \"\\u00e9\\/\"},\n    {\"type\": \"portmap\"}\n  ], \"z\": null }\n\n",
       std::string("{\"name\": \"a\", \"cniVersion\": \"0.3.1\", \"odd\": 1.50e0,\n  \"plugins\": "
                   "[\n    {\"type\": "
                   "\"x\", \"u\": \"\\u00e9\\/\"},\n    {\"type\": \"portmap\"},\n    ") +
           kOurs + "\n  ], \"z\": null }\n\n"},
      {R"({"cniVersion":"1.1.0","name":"","plugins":[ {"type":"x"} ]})",
       std::string(R"({"cniVersion":"1.1.0","name":"","plugins":[ {"type":"x"}, )") + kOurs +
           " ]}"},
  };
  for (const auto& [before, after] : rows) {
    const ChainEdit edit = Insert(before);
    ASSERT_EQ(edit.verdict, Verdict::kWrite) << edit.reason;
    EXPECT_EQ(edit.text, after);
    EXPECT_EQ(Insert(after).verdict, Verdict::kUnchanged);
    const ChainEdit removed = RemoveEntry(after);
    EXPECT_EQ(removed.verdict, Verdict::kWrite);
    EXPECT_EQ(removed.text, before);
    EXPECT_EQ(RemoveEntry(before).verdict, Verdict::kUnchanged);
  }
}

std::string List(std::string_view plugins) {
  return R"({"cniVersion":"1.0.0","name":"a","plugins":[)" + std::string(plugins) + "]}";
}
constexpr char kBridge[] = R"({"type":"bridge"})";
constexpr char kPortmap[] = R"({"type":"portmap"})";
constexpr char kOld[] = R"({"type":"heddle-cni","runDir":"/old"})";

std::string Join(std::initializer_list<std::string> parts) {
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : ",") + part;
  return joined;
}

TEST(CniChainEdit, BringsItsEntryUpToDateWhereItIs) {
  const struct {
    const char* name;
    std::string before, after;
  } rows[] = {
      {"old settings", Join({kBridge, kOld}), Join({kBridge, kOurs})},
      {"others after it", Join({kBridge, kOld, kPortmap}), Join({kBridge, kOurs, kPortmap})},
      {"first", Join({kOld, kBridge, kPortmap}), Join({kBridge, kPortmap, kOurs})},
      {"twice", Join({kBridge, kOld, kPortmap, kOurs}), Join({kBridge, kPortmap, kOurs})},
      {"three times, first too", Join({kOld, kOurs, kBridge, kOurs}), Join({kBridge, kOurs})},
  };
  for (const auto& row : rows) {
    const ChainEdit edit = Insert(List(row.before));
    EXPECT_EQ(edit.verdict, Verdict::kWrite) << row.name;
    EXPECT_EQ(edit.text, List(row.after)) << row.name;
    EXPECT_EQ(Insert(edit.text).verdict, Verdict::kUnchanged) << row.name;
  }
}

TEST(CniChainEdit, IsContentWithItsEntryInAnyLayoutAndOrder) {
  EXPECT_EQ(Insert(List(Join({kBridge, R"({
        "exemptNamespaces": [ "kube-system" ], "runDir": "\/run\/heddle", "type": "heddle-cni" })"})))
                .verdict,
            Verdict::kUnchanged);
  EXPECT_EQ(Insert(List(Join({kBridge, kOurs, kPortmap}))).verdict, Verdict::kUnchanged);
}

TEST(CniChainEdit, LiftsAFileWithOnePluginToAListWithAllItsContent) {
  const std::string single =
      "\n{ \"cniVersion\": \"0.4.0\", \"name\": \"n\\\"1\", \"type\": \"bridge\",\n  \"odd\": "
      "[1.0, {}] }\n";
  for (const char* name : {"10-x.conf", "10-x.json"}) {
    const ChainEdit edit = Insert(single, name);
    ASSERT_EQ(edit.verdict, Verdict::kWrite) << edit.reason;
    EXPECT_EQ(edit.text,
              "{\n  \"cniVersion\": \"0.4.0\",\n  \"name\": \"n\\\"1\",\n  \"plugins\": [\n    "
              "{ \"cniVersion\": \"0.4.0\", \"name\": \"n\\\"1\", \"type\": \"bridge\",\n  "
              "\"odd\": [1.0, {}] },\n"
              "    "
              "{\"type\":\"heddle-cni\",\"runDir\":\"/run/"
              "heddle\",\"exemptNamespaces\":[\"kube-system\"],"
              "\"liftedFrom\":\"" +
                  std::string(name) + "\"}\n  ]\n}\n");
    EXPECT_EQ(LiftedName(name), "10-x.conflist");
    EXPECT_EQ(Insert(edit.text).verdict, Verdict::kUnchanged);
    EXPECT_TRUE(IsLiftOf(edit.text, name));
    EXPECT_FALSE(IsLiftOf(edit.text, "10-y.conf"));
  }
  EXPECT_FALSE(IsLiftOf(List(Join({kBridge, kOurs})), "10-x.conf"));
}

TEST(CniChainEdit, KeepsWhatItWasLiftedFromWhenItsSettingsChange) {
  const std::string lifted =
      Insert(R"({"cniVersion":"0.4.0","name":"n","type":"bridge"})", "10-x.conf").text;
  const ChainEdit edit = InsertEntry({"10-x.conflist", lifted}, {.run_dir = "/other"});
  EXPECT_EQ(edit.verdict, Verdict::kWrite);
  EXPECT_TRUE(IsLiftOf(edit.text, "10-x.conf"));
  EXPECT_THAT(edit.text, testing::HasSubstr("\"/other\""));
}

std::string Nested(size_t depth) {
  return R"({"cniVersion":"1.0.0","name":"a","x":)" + std::string(depth, '[') +
         std::string(depth, ']') + R"(,"plugins":[{"type":"bridge"}]})";
}

TEST(CniChainEdit, PassesOverWhatNoRuntimeLoadsAndStopsAtWhatOneMay) {
  const struct {
    const char* name;
    const char* file;
    std::string text;
    Verdict verdict;
  } rows[] = {
      {"empty", "a.conflist", "", Verdict::kSkip},
      {"half", "a.conflist", R"({"cniVersion":"1.0.0","name":"a","plu)", Verdict::kSkip},
      {"two values", "a.conflist", List(kBridge) + "{}", Verdict::kSkip},
      {"NUL", "a.conflist", std::string("\0\0", 2), Verdict::kSkip},
      {"byte order mark", "a.conflist", "\xef\xbb\xbf" + List(kBridge), Verdict::kSkip},
      {"a list", "a.conflist", "[]", Verdict::kSkip},
      {"no name", "a.conflist", R"({"cniVersion":"1.0.0","plugins":[{"type":"x"}]})",
       Verdict::kSkip},
      {"name no string", "a.conflist", R"({"name":1,"plugins":[{"type":"x"}]})", Verdict::kSkip},
      {"version no string", "a.conflist", R"({"cniVersion":1,"name":"a","plugins":[{"type":"x"}]})",
       Verdict::kSkip},
      {"plugins no list", "a.conflist", R"({"cniVersion":"1.0.0","name":"a","plugins":{}})",
       Verdict::kSkip},
      {"plugin no object", "a.conflist", List("1"), Verdict::kSkip},
      {"plugin without type", "a.conflist", List("{}"), Verdict::kSkip},
      {"a list named .conf", "a.conf", List(kBridge), Verdict::kSkip},
      {"no plugins", "a.conflist", R"({"cniVersion":"1.0.0","name":"a"})", Verdict::kBlocked},
      {"none listed", "a.conflist", List(""), Verdict::kBlocked},
      {"ours alone", "a.conflist", List(kOurs), Verdict::kBlocked},
      {"ours alone, single", "a.conf", kOurs, Verdict::kBlocked},
      {"old version", "a.conflist", R"({"cniVersion":"0.2.0","name":"a","plugins":[{"type":"x"}]})",
       Verdict::kBlocked},
      {"no version", "a.conflist", R"({"name":"a","plugins":[{"type":"x"}]})", Verdict::kBlocked},
      {"no version, single", "a.conf", kBridge, Verdict::kBlocked},
      {"two plugins keys", "a.conflist",
       R"({"name":"a","plugins":[{"type":"x"}],"plugins":[{"type":"y"}]})", Verdict::kBlocked},
      {"two keys in a plugin", "a.conflist", List(R"({"type":"x","type":"heddle-cni"})"),
       Verdict::kBlocked},
      {"not UTF-8", "a.conflist", List("{\"type\":\"x\",\"y\":\"\xff\"}"), Verdict::kBlocked},
      {"nested deep", "a.conflist", Nested(1000), Verdict::kBlocked},
      {"nested, and no end", "a.conflist", std::string(500'000, '['), Verdict::kSkip},
      {"no room", "a.conflist", List(kBridge) + std::string((1 << 20) - List(kBridge).size(), ' '), Verdict::kBlocked},
      {"no room to nest", "a.conf", R"({"cniVersion":"1.0.0","type":"x","y":)" + std::string(30, '[') +
           std::string(30, ']') + "}", Verdict::kBlocked},
      {"huge", "a.conflist", List(kBridge) + std::string(2 << 20, ' '), Verdict::kBlocked},
  };
  for (const auto& row : rows) {
    const ChainEdit edit = Insert(row.text, row.file);
    EXPECT_EQ(edit.verdict, row.verdict) << row.name;
    EXPECT_FALSE(edit.reason.empty()) << row.name;
    EXPECT_TRUE(edit.text.empty()) << row.name;
  }
}

TEST(CniChainEdit, TakesExactlyItsEntriesOut) {
  const std::pair<std::string, std::string> rows[] = {
      {Join({kBridge, kOurs, kPortmap}), Join({kBridge, kPortmap})},
      {Join({kOld, kBridge, kOurs}), Join({kBridge})},
      {Join({kOld, kOurs}), ""},
      {" " + std::string(kOld) + " ,\n " + kBridge + " ", std::string(" ") + kBridge + " "},
  };
  for (const auto& [before, after] : rows) EXPECT_EQ(RemoveEntry(List(before)).text, List(after));
}

TEST(CniChainEdit, LooksAtTheEndingsThatRuntimesLookAt) {
  EXPECT_EQ(CniFileKindOf("a.conflist"), CniFileKind::kList);
  EXPECT_EQ(CniFileKindOf(".hidden.conf"), CniFileKind::kSingle);
  EXPECT_EQ(CniFileKindOf("a.json"), CniFileKind::kSingle);
  for (const char* name : {"a.conflist.bak", "conf", "a.CONF", ".heddle-cni-conf.tmp", "a.conf~"})
    EXPECT_EQ(CniFileKindOf(name), std::nullopt) << name;
}

}  // namespace
}  // namespace heddle::agent
