#include "agent/hbone/headers.h"

#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

TEST(Baggage, IsWrittenInIstiosOrderWithoutEmptyMembers) {
  const Baggage baggage{.cluster = "Kubernetes",
                        .namespace_name = "shop",
                        .workload_type = "pod",
                        .workload_name = "web",
                        .service_name = "web",
                        .region = "r1"};
  EXPECT_EQ(EncodeBaggage(baggage),
            "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=web,service.name=web,"
            "cloud.region=r1");
  EXPECT_EQ(EncodeBaggage({}), "");
}

TEST(Baggage, ReadsBackWhatItWrote) {
  const Baggage baggage{"c", "n", "cronjob", "w", "s", "v", "r", "z"};
  Baggage read;
  MergeBaggage(EncodeBaggage(baggage), read);
  EXPECT_EQ(read, baggage);
}

TEST(Baggage, SkipsWhatItDoesNotUnderstand) {
  const struct {
    std::string_view value;
    Baggage want;
  } cases[] = {
      {"", {}},
      {"a=b,,=,service.name", {}},
      {"service.name=", {}},
      {"service.name=a=b", {.service_name = "a"}},
      {"k8s.replicaset.name=x,service.version=v1", {.service_version = "v1"}},
      {"service.name=\xc3\xb6,service.version=v1", {}},
  };
  for (const auto& c : cases) {
    Baggage read;
    MergeBaggage(c.value, read);
    EXPECT_EQ(read, c.want) << c.value;
  }
}

TEST(Baggage, SeveralLinesAddUp) {
  Baggage read;
  MergeBaggage("service.name=a", read);
  MergeBaggage("service.version=b", read);
  EXPECT_EQ(read, (Baggage{.service_name = "a", .service_version = "b"}));
}

TEST(Baggage, IgnoresAnOverlongLine) {
  Baggage read;
  MergeBaggage("service.name=" + std::string(kMaxClaimBytes, 'a'), read);
  EXPECT_EQ(read, Baggage{});
}

TEST(Forwarded, NamesSourceAndService) {
  const auto v4 = *io::SocketAddress::Parse("10.0.0.1:4711");
  const auto v6 = *io::SocketAddress::Parse("[fd00::1]:4711");
  EXPECT_EQ(EncodeForwarded(v4, ""), "for=\"10.0.0.1:4711\"");
  EXPECT_EQ(EncodeForwarded(v6, "web.shop"), "for=\"[fd00::1]:4711\";host=web.shop");
}

TEST(Forwarded, YieldsTheHost) {
  const struct {
    std::string_view value, want;
  } cases[] = {
      {"for=\"10.0.0.1:1\";host=web.shop", "web.shop"},
      {"host=\"web\"", "web"},
      {"host=", ""},
      {"for=x", ""},
      {"for=x; host=web", ""},
      {"host=\"", "\""},
      {"", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(ForwardedHost(c.value), c.want) << c.value;
}

TEST(Traceparent, IsFreshAndWellFormed) {
  SeededRandom random(1);
  const std::string first = NewTraceparent(random);
  EXPECT_TRUE(IsTraceparent(first)) << first;
  EXPECT_NE(first, NewTraceparent(random));
  EXPECT_FALSE(IsTraceparent(first.substr(1)));
  EXPECT_FALSE(IsTraceparent("00-" + std::string(32, 'G') + "-" + std::string(16, '0') + "-00"));
}

}  // namespace
}  // namespace heddle::agent
