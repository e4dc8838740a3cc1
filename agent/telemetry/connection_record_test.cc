#include "agent/telemetry/connection_record.h"

#include <gmock/gmock.h>

#include "agent/telemetry/traffic_labels.h"
#include "agent/telemetry/worker_telemetry.h"
#include "lib/base/testing/fake_clock.h"

namespace heddle::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Line {
  bool opened;
  std::string flags;
  std::string error;
  absl::Duration age;
};

class Lines final : public AccessLog {
 public:
  void Write(const ConnectionRecord& record) override {
    lines.push_back(
        {record.opened(), std::string(record.response_flags()), record.error(), record.age()});
  }
  std::vector<Line> lines;
};

struct Fixture {
  metrics::Registry registry;
  FakeClock clock;
  Lines log;
  WorkerTelemetry telemetry{registry, clock, log};
  const io::SocketAddress source = *io::SocketAddress::Parse("10.0.0.1:4711");
};

TEST(ConnectionRecord, CountsAndLogsAConnectionThatEndsInOrder) {
  Fixture f;
  {
    ConnectionRecord record(f.telemetry, Direction::kInbound, f.source);
    record.Open();
    EXPECT_THAT(f.registry.Expose(), HasSubstr("heddle_connections_open 1"));
    record.bytes = {.from_client = 3, .from_server = 5};
    f.clock.Advance(absl::Seconds(2));
    record.Complete();
  }
  ASSERT_EQ(f.log.lines.size(), 1u);
  EXPECT_EQ(f.log.lines[0].flags, "-");
  EXPECT_EQ(f.log.lines[0].error, "");
  EXPECT_EQ(f.log.lines[0].age, absl::Seconds(2));
  const std::string text = f.registry.Expose();
  EXPECT_THAT(text, HasSubstr("heddle_connections_open 0"));
  EXPECT_THAT(text, HasSubstr("istio_tcp_connections_opened_total{reporter=\"destination\",source_"
                              "workload=\"unknown\""));
  EXPECT_THAT(text, HasSubstr("istio_tcp_connections_closed_total{"));
  EXPECT_THAT(text, HasSubstr("connection_security_policy=\"unknown\"} 5"));
  EXPECT_THAT(text, Not(HasSubstr("source_region")));
}

TEST(TrafficLabels, ShowTheServiceAsTheControlPlaneNamesIt) {
  Fixture f;
  Service service;
  service.name = "server";
  service.name_space = "shop";
  service.hostname = "server.shop.svc.cluster.local";  // Longer than a string keeps inside itself.
  {
    ConnectionRecord record(f.telemetry, Direction::kInbound, f.source);
    record.service = std::make_shared<const Service>(service);
    record.Open();
    record.Complete();
  }
  EXPECT_THAT(
      f.registry.Expose(),
      HasSubstr("destination_service=\"server.shop.svc.cluster.local\","
                "destination_service_namespace=\"shop\",destination_service_name=\"server\""));
}

TEST(ConnectionRecord, NamesTheFirstFailure) {
  Fixture f;
  {
    ConnectionRecord record(f.telemetry, Direction::kOutbound, f.source);
    record.Open();
    record.Fail({FailureReason::kPolicyDenied}, "policy shop/deny");
    record.Fail({FailureReason::kDialFailed});
  }
  EXPECT_EQ(f.log.lines[0].flags, "DENY");
  EXPECT_EQ(f.log.lines[0].error, "connection closed due to policy rejection: policy shop/deny");
  EXPECT_EQ(f.telemetry.failures(FailureReason::kPolicyDenied), 1u);
  EXPECT_THAT(f.registry.Expose(), HasSubstr("response_flags=\"DENY\""));
}

TEST(ConnectionRecord, ThatNobodyFinishedCountsAsClosedByADrain) {
  Fixture f;
  {
    ConnectionRecord record(f.telemetry, Direction::kOutbound, f.source);
  }
  EXPECT_FALSE(f.log.lines[0].opened);
  EXPECT_EQ(f.log.lines[0].error, "connection closed from drain");
  EXPECT_EQ(f.telemetry.failures(FailureReason::kDrained), 1u);
  EXPECT_THAT(f.registry.Expose(), Not(HasSubstr("istio_tcp_connections_opened_total{")));
}

TEST(TrafficLabels, PreferTheControlPlaneToWhatAPeerClaims) {
  Fixture f;
  ConnectionRecord record(f.telemetry, Direction::kInbound, f.source);
  record.source.claim = std::make_unique<PeerClaim>(
      PeerClaim{.name_space = "claimed", .workload_name = "claimed"});
  const auto value = [&](std::string_view label) {
    const auto names = TrafficLabelNames();
    const auto at = std::find(names.begin(), names.end(), label) - names.begin();
    return std::string(TrafficLabels(record, "-").values().at(static_cast<size_t>(at)));
  };
  EXPECT_EQ(value("source_workload"), "claimed");
  auto workload = std::make_shared<Workload>();
  workload->workload_name = "web";
  workload->name_space = "shop";
  record.source.workload = workload;
  EXPECT_EQ(value("source_workload"), "web");
  EXPECT_EQ(value("source_workload_namespace"), "shop");
  EXPECT_EQ(value("source_principal"), "unknown");
  record.Complete();
}

}  // namespace
}  // namespace heddle::agent
