#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <memory>

#include "agent/node/bpf_maps.h"

struct ring_buffer;

namespace heddle::agent {

// Reads hd_events: what the hooks refused and dropped. One reader, one thread. Events that come
// while the buffer is full are lost and counted (HD_STAT_EVENTS_LOST); so are those of a pod that
// causes more than HD_EVENTS_PER_POD_SECOND (HD_STAT_EVENTS_LIMITED).
class BpfEvents {
 public:
  static absl::StatusOr<BpfEvents> Open(const BpfMaps& maps);
  BpfEvents(BpfEvents&&) noexcept;
  BpfEvents& operator=(BpfEvents&&) noexcept;
  ~BpfEvents();

  // Readable when there are events; for poll.
  int fd() const;
  // Hands out events that are there, at most `events_max`, without waiting; returns how many.
  size_t Read(size_t events_max, absl::FunctionRef<void(const hd_event&)> receive);

 private:
  struct Reader;
  explicit BpfEvents(std::unique_ptr<Reader> reader);
  std::unique_ptr<Reader> reader_;
};

}  // namespace heddle::agent
