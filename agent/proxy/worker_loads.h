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

// One connection's share of a worker and of the process's limit. Moves with the connection; given
// back when it goes.
class ConnectionPlace {
 public:
  ConnectionPlace() = default;
  ConnectionPlace(ConnectionPlace&& other) noexcept
      : loads_(std::exchange(other.loads_, nullptr)), worker_(other.worker_) {}
  ConnectionPlace& operator=(ConnectionPlace&& other) noexcept {
    Release();
    loads_ = std::exchange(other.loads_, nullptr);
    worker_ = other.worker_;
    return *this;
  }
  ~ConnectionPlace() { Release(); }
  size_t worker() const { return worker_; }

 private:
  friend class WorkerLoads;
  ConnectionPlace(WorkerLoads& loads, size_t worker) : loads_(&loads), worker_(worker) {}
  void Release();

  WorkerLoads* loads_ = nullptr;
  size_t worker_ = 0;
};

// How many connections each worker has, and the limit on all of them together. Thread-safe.
// Outlives its places.
class WorkerLoads {
 public:
  WorkerLoads(size_t workers, size_t connections_max)
      : workers_(workers), connections_max_(connections_max), loads_(new Load[workers]) {}
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
  struct alignas(64) Load {  // A cache line of its own: written by its worker for each connection.
    std::atomic<size_t> connections = 0;
  };

  const size_t workers_;
  const size_t connections_max_;
  const std::unique_ptr<Load[]> loads_;
  std::atomic<size_t> total_ = 0;
  std::atomic<uint64_t> refused_total_ = 0;
};

}  // namespace heddle::agent
