#include "bench/agents/fleet.h"

#include <absl/strings/str_cat.h>

#include "bench/agents/holding_agent.h"
#include "bench/agents/taking_agent.h"

namespace heddle::bench {

Fleet::Fleet(io::Loop& loop, FleetOptions options)
    : loop_(loop), options_(std::move(options)), has_expected_(options_.agents), changed_(loop) {
  for (size_t number = 0; number < options_.agents; ++number) {
    const std::string node = absl::StrCat(options_.node_prefix, number);
    const agent::ControllerConfig controller{
        .address = options_.controller,
        .roots_file = options_.roots_file,
        .server_name = options_.server_name,
        .token_file = absl::StrCat(options_.token_dir, "/", node)};
    AgentParts parts{loop_, number, node, controller, options_.watched, *this};
    if (number < options_.holding) {
      agents_.push_back(std::make_unique<HoldingAgent>(std::move(parts)));
    } else {
      agents_.push_back(std::make_unique<TakingAgent>(std::move(parts)));
    }
  }
}

void Fleet::Start(Scope& scope) {
  for (const auto& agent : agents_) scope.Spawn(agent->Run(scope.stop()));
}

Task<bool> Fleet::AwaitEverything(StopToken stop) {
  while (complete_ < agents_.size() && failure_.empty()) {
    if (!co_await changed_.Wait(stop)) co_return false;
  }
  co_return failure_.empty();
}

void Fleet::Expect(bool healthy) {
  expected_ = healthy;
  has_expected_.assign(agents_.size(), false);
  effective_.clear();
}

Task<bool> Fleet::AwaitEffective(StopToken stop) {
  while (effective_.size() < agents_.size() && failure_.empty()) {
    if (!co_await changed_.Wait(stop)) co_return false;
  }
  co_return failure_.empty();
}

void Fleet::HasEverything(size_t) {
  if (++complete_ == agents_.size()) changed_.NotifyAll();
}

void Fleet::Effective(size_t agent, bool healthy) {
  if (healthy != expected_ || has_expected_[agent]) return;
  has_expected_[agent] = true;
  effective_.push_back(loop_.clock().Monotonic());
  if (effective_.size() == agents_.size()) changed_.NotifyAll();
}

void Fleet::Failed(size_t agent, const absl::Status& why) {
  if (failure_.empty()) failure_ = absl::StrCat("agent ", agent, ": ", why.ToString());
  changed_.NotifyAll();
}

}  // namespace heddle::bench
