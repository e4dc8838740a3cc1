#include "agent/proxy/worker_loads.h"

namespace heddle::agent {

void ConnectionPlace::Release() {
  if (loads_ == nullptr) return;
  loads_->loads_[worker_].connections.fetch_sub(1, std::memory_order_relaxed);
  std::exchange(loads_, nullptr)->total_.fetch_sub(1, std::memory_order_relaxed);
}

std::optional<ConnectionPlace> WorkerLoads::Take(size_t own) {
  size_t best = own;
  for (size_t i = 0; i < workers_; ++i) {
    if (of(i) < of(best)) best = i;
  }
  return TakeOn(best);
}

std::optional<ConnectionPlace> WorkerLoads::TakeOn(size_t worker) {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= connections_max_) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    refused_total_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  loads_[worker].connections.fetch_add(1, std::memory_order_relaxed);
  return ConnectionPlace(*this, worker);
}

}  // namespace heddle::agent
