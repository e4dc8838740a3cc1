#include "cli/views.h"

#include <gtest/gtest.h>

#include "cli/table.h"

namespace heddle::cli {
namespace {

constexpr std::string_view kPods = R"([
  {"namespace":"shop","name":"web","uid":"u1","serviceAccount":"web","addresses":["10.0.0.2","fd00::2"],
   "captured":true,"how":"ebpf","netns":"/run/netns/a","netnsCookie":1,"capturedSince":"2026-01-01T00:00:00Z"},
  {"namespace":"shop","name":"db","uid":"u2","serviceAccount":"db","addresses":["10.0.0.3"],
   "captured":false,"how":"ebpf","problem":"a listener is gone","netns":"/run/netns/b","netnsCookie":2,
   "capturedSince":"2026-01-01T00:00:00Z"}])";

TEST(PodsTable, ShowsAPodThatLeavesAndOneThatIsNotCapturedAtAll) {
  const auto table = PodsTable(R"([
    {"namespace":"shop","name":"web","uid":"u1","serviceAccount":"web","addresses":["10.0.0.2"],
     "captured":true,"how":"ebpf","leaving":true,"netns":"/run/netns/a","netnsCookie":1,
     "capturedSince":"2026-01-01T00:00:00Z"},
    {"namespace":"shop","name":"db","uid":"u2","captured":false,"problem":"port 15001 is taken"}])");
  ASSERT_TRUE(table.ok());
  EXPECT_NE(table->find("ebpf, leaving the mesh"), std::string::npos) << *table;
  EXPECT_NE(table->find("NO: port 15001 is taken"), std::string::npos) << *table;
}

TEST(PodsTable, SaysWhatAPolicyTakesOutOfTheCapture) {
  const auto table = PodsTable(R"([
    {"namespace":"shop","name":"web","captured":true,"how":"ebpf",
     "interception":{"excludedOutboundPorts":[3306,5432],"excludedInboundCidrs":["10.0.0.0/8"],"failMode":"Open"}},
    {"namespace":"shop","name":"db","captured":true,"how":"ebpf","interception":{"failMode":"Open"},"leaving":true}])");
  ASSERT_TRUE(table.ok());
  EXPECT_NE(table->find("ebpf, 3 exclusion(s), fails open"), std::string::npos) << *table;
  EXPECT_NE(table->find("ebpf, fails open, leaving the mesh"), std::string::npos) << *table;
}

TEST(Table, AlignsColumnsAndShowsEmptyCells) {
  Table table({"A", "LONGER"});
  table.Add({"value", ""});
  EXPECT_EQ(table.ToString(), "A      LONGER\nvalue  -\n");
}

TEST(Table, KeepsControlCharactersFromTheTerminal) {
  Table table({"A"});
  table.Add({"x\x1b[2J\ny"});
  EXPECT_EQ(table.ToString(), "A\nx?[2J?y\n");
}

TEST(PodsTable, SaysWhatIsMissingForAPodThatIsNotCaptured) {
  EXPECT_EQ(PodsTable(kPods).value(),
            "POD       ADDRESSES         SERVICE ACCOUNT  CAPTURED                SINCE            "
            "     NETNS\n"
            "shop/web  10.0.0.2,fd00::2  web              ebpf                    "
            "2026-01-01T00:00:00Z  /run/netns/a\n"
            "shop/db   10.0.0.3          db               NO: a listener is gone  "
            "2026-01-01T00:00:00Z  /run/netns/b\n");
}

TEST(ConnectionsTable, NamesThePodOfEachConnection) {
  const auto table =
      ConnectionsTable(R"([{"podUid":"u1","kind":"outbound","src":"10.0.0.2:5",)"
                       R"("originalDst":"10.96.0.1:80","actualDst":"10.0.0.3:15008"}])",
                       kPods);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->find("shop/web  outbound  10.0.0.2:5  10.96.0.1:80"), std::string::npos)
      << *table;
}

TEST(PoliciesTable, ShowsARefusedPolicyAsWhatItDoes) {
  const auto table = PoliciesTable(
      R"([{"name":"p","namespace":"shop","scope":"Namespace","action":"Deny","refused":"bad CIDR","rules":[]}])");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->find("REFUSED (denies all): bad CIDR"), std::string::npos) << *table;
}

TEST(CertificatesTable, ShowsAnIdentityThatHasNoneYet) {
  const auto table = CertificatesTable(
      R"([{"identity":"spiffe://cluster.local/ns/a/sa/b","state":"Initializing","certChain":[],"rootCerts":[]}])");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->find("Initializing  -"), std::string::npos) << *table;
}

TEST(CertificatesTable, ShowsWhichRootsAreTrustedTheOneThatSignsFirst) {
  const auto table = CertificatesTable(R"([{"identity": "spiffe://cluster.local/ns/a/sa/b", "state": "Available",
      "certChain": [{"serialNumber": "01", "validFrom": "then", "expirationTime": "later"}],
      "rootCerts": [{"serialNumber": "0123456789ab"}, {"serialNumber": "ba9876543210"}]}])");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->find("later    01234567,ba987654"), std::string::npos) << *table;
}

TEST(NodesTable, ShowsTheVersionsOfEachNodesAgentAndOfItsController) {
  const auto table = NodesTable(R"([
      {"node": "n1", "connected": true, "agentVersion": "0.2.0", "controllerVersion": "0.1.0", "pods": []},
      {"node": "n2", "connected": true, "pods": []}])");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_NE(table->find("n1    yes        0.2.0    0.1.0       0"), std::string::npos) << *table;
  EXPECT_NE(table->find("n2    yes        -        -           0"), std::string::npos) << *table;
}

TEST(Views, RefuseAnAnswerOfAnotherForm) {
  for (const char* text : {"", "{", "[1]", "{\"a\":1}", "[{}]"}) {
    EXPECT_FALSE(PodsTable(text).ok()) << text;
    EXPECT_FALSE(NodesTable(text).ok()) << text;
  }
}

TEST(Readiness, IsAnErrorThatSaysWhatIsPending) {
  const auto ready = Readiness(R"({"ready": true, "notReadyBecause": ""})");
  ASSERT_TRUE(ready.ok());
  EXPECT_EQ(*ready, "ready\n");
  const auto pending = Readiness(R"({"ready": false, "notReadyBecause": "no state yet"})");
  EXPECT_NE(std::string(pending.status().message()).find("pending: no state yet"),
            std::string::npos);
  EXPECT_FALSE(Readiness("{}").ok());
  EXPECT_FALSE(Readiness("no JSON").ok());
}

}  // namespace
}  // namespace heddle::cli
