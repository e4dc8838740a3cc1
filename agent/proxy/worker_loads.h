#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/check.h"

namespace heddle::agent {

class WorkerLoads;

namespace internal {

struct alignas(64) WorkerLoad {  // A cache line of its own: written by its worker for each connection.
  std::atomic<size_t> connections = 0;
  WorkerLoads* loads = nullptr;
  size_t worker = 0;
};

}  // namespace internal

// One connection's share of a worker and of the process's limit. Moves with the connection; given
// back when it goes. A pointer, because there are very many.
class ConnectionPlace {
 public:
  ConnectionPlace() = default;
  ConnectionPlace(ConnectionPlace&& other) noexcept : load_(std::exchange(other.load_, nullptr)) {}
  ConnectionPlace& operator=(ConnectionPlace&& other) noexcept {
    Release();
    load_ = std::exchange(other.load_, nullptr);
    return *this;
  }
  ~ConnectionPlace() { Release(); }
  // Not of one that was moved from.
  size_t worker() const { return load_->worker; }

 private:
  friend class WorkerLoads;
  explicit ConnectionPlace(internal::WorkerLoad& load) : load_(&load) {}
  void Release();

  internal::WorkerLoad* load_ = nullptr;
};

// How many connections each worker has, and the limit on all of them together. Thread-safe.
// Outlives its places.
class WorkerLoads {
 public:
  WorkerLoads(size_t workers, size_t connections_max);
  ~WorkerLoads() { CHECK(total() == 0); }

  // A place on the least loaded worker, `own` when it is one of them: a connection that changes
  // threads costs a message. Empty when the limit is reached; counted.
  std::optional<ConnectionPlace> Take(size_t own);
  // A place on that worker, for a stream of a tunnel that lives there.
  std::optional<ConnectionPlace> TakeOn(size_t worker);

  size_t limit() const { return connections_max_; }
  size_t total() const { return total_.load(std::memory_order_relaxed); }
  size_t of(size_t worker) const {
    return loads_[worker].connections.load(std::memory_order_relaxed);
  }
  uint64_t refused_total() const { return refused_total_.load(std::memory_order_relaxed); }

 private:
  friend class ConnectionPlace;
  const size_t workers_;
  const size_t connections_max_;
  const std::unique_ptr<internal::WorkerLoad[]> loads_;
  std::atomic<size_t> total_ = 0;
  std::atomic<uint64_t> refused_total_ = 0;
};

}  // namespace heddle::agent
