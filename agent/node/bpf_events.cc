#include "agent/node/bpf_events.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <utility>

namespace heddle::agent {

struct BpfEvents::Reader {
  ~Reader() { ring_buffer__free(ring); }

  static int Receive(void* context, void* data, size_t size) {
    auto& self = *static_cast<Reader*>(context);
    if (size >= sizeof(hd_event)) (*self.receive)(*static_cast<const hd_event*>(data));
    // A negative value ends the round after this event; libbpf has consumed it.
    return ++self.count < self.count_max ? 0 : -EAGAIN;
  }

  ring_buffer* ring = nullptr;
  absl::FunctionRef<void(const hd_event&)>* receive = nullptr;  // During Read only.
  size_t count = 0;
  size_t count_max = 0;
};

absl::StatusOr<BpfEvents> BpfEvents::Open(const BpfMaps& maps) {
  auto reader = std::make_unique<Reader>();
  reader->ring = ring_buffer__new(maps.fd(MapId::kEvents), Reader::Receive, reader.get(), nullptr);
  if (reader->ring == nullptr) return BpfError(errno, "read hd_events");
  return BpfEvents(std::move(reader));
}

BpfEvents::BpfEvents(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
BpfEvents::BpfEvents(BpfEvents&&) noexcept = default;
BpfEvents& BpfEvents::operator=(BpfEvents&&) noexcept = default;
BpfEvents::~BpfEvents() = default;

int BpfEvents::fd() const { return ring_buffer__epoll_fd(reader_->ring); }

size_t BpfEvents::Read(size_t events_max, absl::FunctionRef<void(const hd_event&)> receive) {
  if (events_max == 0) return 0;
  reader_->receive = &receive;
  reader_->count = 0;
  reader_->count_max = events_max;
  ring_buffer__consume(reader_->ring);
  reader_->receive = nullptr;
  return reader_->count;
}

}  // namespace heddle::agent
