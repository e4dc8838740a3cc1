#include "agent/node/capture_reporter.h"

#include <gtest/gtest.h>

#include "lib/grpc/protobuf.h"
#include "lib/grpc/server.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/pipe.h"
#include "lib/io/testing/simulation.h"
#include "proto/node.pb.h"

namespace heddle::agent {
namespace {

// A controller that acknowledges every report. It ends its first stream a while after the first
// report, when there is nothing more to report.
struct Controller {
  explicit Controller(io::Loop& loop)
      : loop(loop),
        server(loop, {}),
        channel(loop, [this](StopToken) { return Connect(); },
                {.authority = "controller.test", .connection = {}}),
        received(loop),
        scope(loop) {
    server.AddStream("/heddle.node.v1.CaptureReports/Report",
                     [this](grpc::ServerCall& call) { return Serve(call); });
  }

  Task<io::Result<std::unique_ptr<io::Stream>>> Connect() {
    io::Pipe pipe = io::MakePipe(loop);
    scope.Spawn(server.Serve(std::move(pipe.second), {}, scope.stop(), absl::ZeroDuration()));
    co_return std::move(pipe.first);
  }
  Task<absl::Status> Serve(grpc::ServerCall& call) {
    const bool first_stream = ++streams == 1;
    while (true) {
      const auto message = co_await call.Receive();
      if (!message.ok() || !message->has_value()) co_return absl::UnavailableError("no report");
      const auto report = grpc::Parse<node::v1::CaptureReport>(**message);
      sequences.push_back(report->sequence());
      for (const auto& pod : report->pods()) {
        uids.push_back(pod.uid());
        problems.push_back(pod.uid() + ": " + pod.problem());
      }
      for (const auto& pod : report->uncaptured())
        problems.push_back(pod.uid() + ": " + pod.problem());
      received.NotifyAll();
      node::v1::CaptureAck ack;
      ack.set_sequence(report->sequence());
      const std::string bytes = ack.SerializeAsString();
      if (!(co_await call.Send(bytes)).ok()) co_return absl::UnavailableError("gone");
      if (!first_stream) continue;
      co_await loop.Sleep(absl::Seconds(1), call.stop());
      co_return absl::UnavailableError("the controller restarts");
    }
  }
  // False when it takes longer than an agent may stay silent.
  Task<bool> AwaitReports(size_t count) {
    Deadline patience(loop, {}, absl::Seconds(20));
    while (sequences.size() < count) {
      if (!co_await received.Wait(patience.token())) co_return false;
    }
    co_return true;
  }

  io::Loop& loop;
  grpc::Server server;
  grpc::Channel channel;
  int streams = 0;
  std::vector<uint64_t> sequences;
  std::vector<std::string> uids;      // Of all reports.
  std::vector<std::string> problems;  // "uid: problem", of captured pods and then of others.
  WaitQueue received;
  Scope scope;
};

Task<void> ReportAgainWhenTheStreamEnds(io::Loop& loop) {
  Controller controller(loop);
  SeededRandom random(1);
  CaptureReporter reporter({loop, random, controller.channel, "node-1",
                            []() -> absl::StatusOr<grpc::Metadata> { return grpc::Metadata(); },
                            [] { return std::vector<PodStatus>(); },
                            [] { return std::vector<UncapturedPod>(); }});
  Scope scope(loop);
  scope.Spawn(reporter.Run(scope.stop()));
  EXPECT_TRUE(co_await controller.AwaitReports(2));
  EXPECT_EQ(controller.streams, 2);
  reporter.Notify();
  EXPECT_TRUE(co_await controller.AwaitReports(3));
  EXPECT_EQ(controller.sequences, (std::vector<uint64_t>{1, 1, 2}));
  co_await scope.Drain();
  co_await controller.channel.Shutdown();
  co_await controller.scope.Drain();
}

TEST(CaptureReporter, ReportsAgainWhenAQuietStreamEnds) {
  io::Simulation simulation(1);
  io::Loop& loop = simulation.AddLoop();
  simulation.Run(loop, ReportAgainWhenTheStreamEnds(loop));
}

// Announced as outside the mesh it would get plaintext from everybody.
Task<void> ReportPodsWithGaps(io::Loop& loop) {
  Controller controller(loop);
  SeededRandom random(1);
  PodStatus whole;
  whole.record.uid = "whole";
  whole.captured = true;
  PodStatus broken;
  broken.record.uid = "broken";
  broken.problem = "hd_sk_lookup is not attached to the pod's netns";
  const UncapturedPod missed{.uid = "missed", .problem = "no process of it was found"};
  CaptureReporter reporter({loop, random, controller.channel, "node-1",
                            []() -> absl::StatusOr<grpc::Metadata> { return grpc::Metadata(); },
                            [&] { return std::vector<PodStatus>{whole, broken}; },
                            [&] { return std::vector<UncapturedPod>{missed}; }});
  Scope scope(loop);
  scope.Spawn(reporter.Run(scope.stop()));
  EXPECT_TRUE(co_await controller.AwaitReports(1));
  EXPECT_EQ(controller.uids, (std::vector<std::string>{"whole", "broken"}));
  EXPECT_EQ(controller.problems, (std::vector<std::string>{"whole: ", "broken: " + broken.problem,
                                                           "missed: no process of it was found"}));
  co_await scope.Drain();
  co_await controller.channel.Shutdown();
  co_await controller.scope.Drain();
}

TEST(CaptureReporter, KeepsAPodInWhichSomethingIsMissing) {
  io::Simulation simulation(1);
  io::Loop& loop = simulation.AddLoop();
  simulation.Run(loop, ReportPodsWithGaps(loop));
}

}  // namespace
}  // namespace heddle::agent
