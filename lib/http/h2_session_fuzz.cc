// Fuzzes an HTTP/2 session of either role: the input is a program of bytes from the peer and of
// calls by the owner, and what the session tells must keep its promises whatever comes.

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/http/h2_session.h"
#include "lib/http/testing/raw_frames.h"

namespace heddle::http {
namespace {

using Type = H2Event::Type;

constexpr uint32_t kMaxStreams = 8;
// Limits that a short input can reach.
constexpr H2Options kOptions = {.max_concurrent_streams = kMaxStreams,
                                .header_list_bytes_max = 4096,
                                .stream_window_initial = 4096,
                                .stream_window_max = 64 * 1024,
                                .open_streams_max = kMaxStreams,
                                .resets_received = {.burst = 12, .per_second = 10},
                                .resets_provoked = {.burst = 6, .per_second = 10},
                                .control_frames = {.burst = 30, .per_second = 100},
                                .outbound_queue_frames_max = 8};
constexpr size_t kBudgetBytes = 24 * 1024;

class Owner {
 public:
  explicit Owner(Role role) : role_(role), session_(role, kOptions, clock_, &budget_) {}

  void Feed(std::span<const uint8_t> bytes) {
    session_.Receive(bytes);
    TakeEvents();
  }
  void Act(uint8_t action, uint8_t argument);
  void Drain() {
    std::vector<uint8_t> space;
    do {
      TakeEvents();
      space.resize(session_.output_min());
    } while (session_.Output(space) > 0);
    TakeEvents();
  }

 private:
  struct Stream {
    bool open = false;  // Its first headers have come.
    bool ended = false;
    bool answered = false;
    bool writing = false;
    bool write_ended = false;
    bool reset = false;
    size_t held = 0;
  };

  void TakeEvents() {
    while (auto event = session_.NextEvent()) Check(*event);
    // More by those whose headers have not come to their end.
    CHECK(session_.active_streams() >= streams_.size());
    CHECK(role_ == Role::kClient || session_.active_streams() <= kMaxStreams);
    CheckLimits();
  }
  void CheckLimits() const;
  void Check(const H2Event& event);
  void Release(StreamId id) {
    session_.Release(id);
    streams_.erase(id);
  }
  void ActOn(StreamId id, Stream& stream, uint8_t action);

  FakeClock clock_;
  ReceiveBudget budget_{kBudgetBytes};
  const Role role_;
  H2Session session_;
  std::map<StreamId, Stream> streams_;
  const std::vector<uint8_t> body_ = std::vector<uint8_t>(70'000, 'b');
};

void Owner::Check(const H2Event& event) {
  if (event.stream == StreamId{}) return;
  if (event.type == Type::kRequest) CHECK(streams_.try_emplace(event.stream).second);
  const auto found = streams_.find(event.stream);
  CHECK(found != streams_.end() && !found->second.reset);
  Stream& stream = found->second;
  CHECK(event.headers.list_bytes() <= kOptions.header_list_bytes_max);
  switch (event.type) {
    case Type::kRequest:
    case Type::kResponse:
      CHECK(!stream.open &&
            event.headers.Count(role_ == Role::kServer ? ":method" : ":status") == 1);
      stream.open = true;
      break;
    case Type::kTrailers:
    case Type::kEnd:
      CHECK(stream.open && !stream.ended);
      stream.ended = event.type == Type::kEnd;
      break;
    case Type::kData:
      CHECK(stream.open && !stream.ended);
      stream.held += event.data.size();
      CHECK(stream.held <= std::max<size_t>(session_.stream_window(event.stream), 65535));
      break;
    case Type::kWritten:
      CHECK(stream.writing);
      stream.writing = false;
      break;
    case Type::kReset: stream.reset = true; break;
    default: break;
  }
}

// A limit that the peer breaks ends the connection, so that no second one can be broken, and an end of our making has a
// reason. A connection that is finished has nothing left to say.
void Owner::CheckLimits() const {
  const auto& violations = session_.stats().limit_violations;
  uint64_t total = 0;
  for (size_t i = 0; i < violations.size(); ++i) {
    total += violations[i];
    if (violations[i] > 0) CHECK(ToString(static_cast<H2Limit>(i)) != "unknown");
  }
  CHECK(total <= 1);
  const auto& end = session_.end();
  CHECK(end.has_value() ? end->by_peer || !end->reason.empty() : total == 0);
  if (session_.finished()) CHECK(!session_.wants_output() && !session_.CanOpen());
}

void Owner::Act(uint8_t action, uint8_t argument) {
  switch (action) {
    case 0: clock_.Advance(absl::Milliseconds(argument)); break;
    case 1: session_.Ping(); break;
    case 2: session_.StartDrain(); break;
    case 3: session_.FinishDrain(); break;
    case 4:
      if (role_ == Role::kClient) {
        const Headers request = {{":method", "CONNECT"}, {":authority", "a:1"}};
        if (auto id = session_.Open(request, (argument & 1) != 0))
          streams_[*id].write_ended = (argument & 1) != 0;
      }
      break;
    case 5: session_.Close(ErrorCode::kNoError, "enough"); break;
    default:
      if (streams_.empty()) break;
      auto stream = std::next(streams_.begin(), argument % static_cast<int>(streams_.size()));
      ActOn(stream->first, stream->second, action);
      break;
  }
  TakeEvents();
}

void Owner::ActOn(StreamId id, Stream& stream, uint8_t action) {
  const bool may_write =
      (role_ == Role::kClient || stream.answered) && !stream.writing && !stream.write_ended;
  switch (action) {
    case 6:
      if (role_ == Role::kServer && !stream.answered) {
        session_.Respond(id, {{":status", "200"}}, false);
        stream.answered = true;
      }
      break;
    case 7:
      if (may_write && !stream.reset) {
        session_.Write(id, body_);
        stream.writing = true;
      }
      break;
    case 8:
      if (may_write) {
        session_.EndWrite(id, {{"t", "1"}});
        stream.write_ended = true;
      }
      break;
    case 9: session_.Consumed(id, std::exchange(stream.held, 0)); break;
    case 10:
      session_.CancelWrite(id);
      session_.Reset(id, ErrorCode::kCancel);
      stream.reset = true;
      break;
    default: Release(id); break;
  }
}

// Input: a byte for the role, then steps. A step is a byte: below 128 that many bytes of the peer,
// above that a call with the next byte as its argument.
void Run(std::span<const uint8_t> input) {
  if (input.empty()) return;
  Owner owner((input.front() & 1) != 0 ? Role::kServer : Role::kClient);
  if ((input.front() & 3) == 1) owner.Feed(AsBytes(kClientPreface));
  input = input.subspan(1);
  while (!input.empty()) {
    const uint8_t step = input.front();
    input = input.subspan(1);
    if (step < 128) {
      const size_t size = std::min<size_t>(step, input.size());
      owner.Feed(input.first(size));
      input = input.subspan(size);
    } else if (!input.empty()) {
      owner.Act(step % 12, input.front());
      input = input.subspan(1);
    }
    if (step % 2 == 0) owner.Drain();
  }
  owner.Drain();
}

}  // namespace
}  // namespace heddle::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  heddle::http::Run({data, size});
  return 0;
}
