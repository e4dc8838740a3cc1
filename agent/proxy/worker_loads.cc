#include "agent/proxy/worker_loads.h"

namespace heddle::agent {

void ConnectionPlace::Release() {
  if (load_ == nullptr) return;
  load_->connections.fetch_sub(1, std::memory_order_relaxed);
  std::exchange(load_, nullptr)->loads->total_.fetch_sub(1, std::memory_order_relaxed);
}

WorkerLoads::WorkerLoads(size_t workers, size_t connections_max)
    : workers_(workers),
      connections_max_(connections_max),
      loads_(std::make_unique<internal::WorkerLoad[]>(workers)) {
  for (size_t i = 0; i < workers; ++i) {
    loads_[i].loads = this;
    loads_[i].worker = i;
  }
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
  return ConnectionPlace(loads_[worker]);
}

}  // namespace heddle::agent
