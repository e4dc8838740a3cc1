#include <gtest/gtest.h>

#include "agent/proxy/testing/mesh.h"
#include "lib/io/testing/co_test.h"

namespace heddle::agent::testing {
namespace {

// Another workload is announced after one second, the pod's own after two.
Task<void> AnnounceLate(Mesh& mesh, const Mesh::Pod& pod) {
  co_await mesh.loop().Sleep(absl::Seconds(1), {});
  mesh.world().Add({.name = "other", .ips = {"10.0.9.9"}});
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Seconds(1), {});
  mesh.world().Add(pod.workload);
  mesh.Publish();
}

Task<void> ConnectBeforeTheWorkloadIsKnown(Mesh& mesh, Mesh::Pod& pod, Mesh::Pod& outsider) {
  co_await mesh.Start();
  mesh.world().builder().RemoveAddress(pod.workload.uid());
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  const auto listener = mesh.Listen(pod);
  Scope scope(mesh.loop());
  scope.Spawn(AnnounceLate(mesh, pod));
  {
    const auto client = co_await mesh.Connect(outsider, pod.address);
    Deadline patience(mesh.loop(), {}, absl::Seconds(10));
    const auto server = co_await listener->Accept(patience.token());
    EXPECT_TRUE(client && server);
  }
  co_await scope.Join();
  co_await mesh.Stop();
}

TEST(InboundPlaintext, WaitsForItsWorkloadWhateverElseIsAnnounced) {
  Mesh mesh({.nodes = 1});
  Mesh::Pod& pod = mesh.AddPod("b", 0, "b");
  Mesh::Pod& outsider = mesh.AddOutsider("outsider");
  mesh.Run(ConnectBeforeTheWorkloadIsKnown(mesh, pod, outsider));
}

}  // namespace
}  // namespace heddle::agent::testing
