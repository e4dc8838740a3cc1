#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controlplane/sources/latest_objects.h"
#include "controlplane/sources/source.h"
#include "lib/base/random.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/kube/reflector.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane::sources {

// The objects of a cluster, followed over the Kubernetes API: a list and a watch of each kind that
// the mesh reads, all over one connection.
//
//   API server --> ApiClient --> Reflector of each kind --> decode --> LatestObjects --> Poll()
//
// Nothing is given before every kind has been listed once, or is not installed: half a mesh would
// take policies away. Kinds that have no effect here (IgnoredKinds) are counted, and hold up nothing.
// A kind that may not be read holds that up, and is a problem. Later failures
// change nothing but problems(), and only if they last.
class KubernetesSource final : public Source {
 public:
  // All outlive it.
  KubernetesSource(io::Loop& loop, kube::ApiClient& client, Random& random,
                   metrics::Registry& registry, const std::string& own_namespace);
  ~KubernetesSource() override;

  Task<void> Run(Event& changed, StopToken stop) override;
  api::StoreDiff Poll() override;
  bool synced() const override;
  const std::vector<api::Problem>& problems() const override { return problems_; }
  void Observe(RawObserver& observer) override { observer_ = &observer; }

 private:
  class Follower;
  class Bystander;
  struct Parts;

  void Changed();
  void Judge();
  Task<void> Watch(StopToken stop);

  io::Loop& loop_;
  LatestObjects objects_;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::vector<std::unique_ptr<Bystander>> bystanders_;
  std::vector<api::Problem> troubles_;  // Of kinds, as of the last look at them.
  std::vector<api::Problem> problems_;
  Event* changed_ = nullptr;
  RawObserver* observer_ = nullptr;
};

}  // namespace heddle::controlplane::sources
