#include "lib/http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

#include "lib/http/h2_fields.h"
#include "lib/http/h2_session_state.h"

namespace heddle::http {
namespace {

void SubmitSettings(nghttp2_session* session, Role role, const H2Options& options) {
  std::vector<nghttp2_settings_entry> entries = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window_initial},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, options.receive_frame_bytes_max},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options.header_list_bytes_max},
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options.header_table_bytes},
  };
  if (role == Role::kServer) {
    entries.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams});
  } else {
    entries.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  CHECK(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries.data(), entries.size()) == 0);
  CHECK(nghttp2_session_set_local_window_size(
            session, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(options.connection_window)) == 0);
}

}  // namespace

H2Session::H2Session(Role role, const H2Options& options, Clock& clock, ReceiveBudget* budget)
    : state_(std::make_unique<State>(role, options, clock, budget)) {
  state_->session = MakeNghttp2Session(role, options, state_.get());
  SubmitSettings(state_->session, role, options);
}

H2Session::~H2Session() = default;

void H2Session::Receive(std::span<const uint8_t> bytes) {
  State& state = *state_;
  if (!state.farewell.empty() || bytes.empty()) return;
  const MonotonicTime now = state.clock.Monotonic();
  const bool calm = state.scanner.Scan(bytes, [&](const FrameHeader& frame) {
    const std::optional<H2Limit> broken = state.guard.OnFrame(frame, now);
    if (broken) state.Violate(*broken);
    return !broken;
  });
  if (!calm) return;
  const ssize_t taken = nghttp2_session_mem_recv(state.session, bytes.data(), bytes.size());
  if (taken < 0) {
    if (taken == NGHTTP2_ERR_FLOODED) {
      state.Violate(H2Limit::kOutboundQueue);
    } else if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
      state.Violate(H2Limit::kHeaderBlock);
    } else {
      state.Fail(ErrorCode::kProtocolError, nghttp2_strerror(static_cast<int>(taken)));
    }
    return;
  }
  state.ReturnConnectionWindow();
  if (state.drain_acknowledged) FinishDrain();
  state.CheckOutboundQueue();
}

std::optional<H2Event> H2Session::NextEvent() {
  while (!state_->events.empty()) {
    H2Event event = std::move(state_->events.front());
    state_->events.pop_front();
    if (event.stream == StreamId{}) return event;
    const State::Stream* stream = state_->Find(static_cast<int32_t>(event.stream));
    if (stream != nullptr && !stream->released && !stream->reset_by_us) return event;
  }
  return std::nullopt;
}

size_t H2Session::Output(std::span<uint8_t> space) {
  CHECK(space.size() >= output_min());
  State& state = *state_;
  state.space = space;
  state.output_begun = false;
  while (true) {
    const size_t fits = std::min(state.carry.size(), state.space.size());
    std::copy_n(state.carry.begin(), fits, state.space.begin());
    state.carry = state.carry.subspan(fits);
    state.space = state.space.subspan(fits);
    state.output_begun |= fits > 0;
    if (!state.carry.empty()) break;
    if (!state.farewell.empty()) {
      if (std::exchange(state.farewell_sent, true)) break;
      state.carry = state.farewell;
      continue;
    }
    const uint8_t* frame = nullptr;
    const ssize_t size = nghttp2_session_mem_send(state.session, &frame);
    if (size < 0) {
      state.Fail(ErrorCode::kInternalError, nghttp2_strerror(static_cast<int>(size)));
    } else if (size == 0 && state.farewell.empty()) {
      break;
    } else {
      state.carry = {frame, static_cast<size_t>(size)};
    }
  }
  for (const int32_t id : std::exchange(state.linger, {}))
    state.SubmitReset(id, ErrorCode::kNoError);
  return space.size() - std::exchange(state.space, {}).size();
}

size_t H2Session::output_min() const {
  return std::max(kOutputMin, FrameScanner::kHeaderBytes + state_->waiting_bytes);
}

bool H2Session::wants_output() const {
  if (!state_->carry.empty()) return true;
  if (!state_->farewell.empty()) return !state_->farewell_sent;
  return nghttp2_session_want_write(state_->session) != 0;
}

size_t H2Session::pending_write_bytes() const { return state_->pending_bytes; }

bool H2Session::finished() const {
  if (!state_->carry.empty()) return false;
  if (!state_->farewell.empty()) return state_->farewell_sent;
  return nghttp2_session_want_read(state_->session) == 0 &&
         nghttp2_session_want_write(state_->session) == 0;
}

const std::optional<H2End>& H2Session::end() const { return state_->end; }

bool H2Session::CanOpen() const {
  const State& state = *state_;
  return state.role == Role::kClient && state.farewell.empty() && !state.draining &&
         state.open_streams < std::min(peer_max_streams(), state.options.open_streams_max) &&
         nghttp2_session_check_request_allowed(state.session) != 0;
}

std::optional<StreamId> H2Session::Open(const Headers& request, bool end) {
  State& state = *state_;
  if (!CanOpen()) return std::nullopt;
  const auto next_id = static_cast<int32_t>(nghttp2_session_get_next_stream_id(state.session));
  State::Stream* stream = state.Add(next_id);
  if (stream == nullptr) return std::nullopt;
  const std::vector<nghttp2_nv> fields = ToFields(request);
  const nghttp2_data_provider body = Body();
  const int32_t id = nghttp2_submit_request(state.session, nullptr, fields.data(), fields.size(),
                                            end ? nullptr : &body, nullptr);
  if (id < 0) {
    state.Erase(*stream);
    state.Fail(ErrorCode::kInternalError, nghttp2_strerror(id));
    return std::nullopt;
  }
  CHECK(id == next_id);
  stream->surfaced = true;
  if (end) stream->sending = SendState::kEnding;
  return StreamId{id};
}

bool H2Session::Respond(StreamId id, const Headers& response, bool end) {
  State& state = *state_;
  State::Stream* stream = state.Find(static_cast<int32_t>(id));
  CHECK(state.role == Role::kServer && stream != nullptr && !stream->answered);
  stream->answered = true;
  if (stream->closed || stream->reset_by_us || !state.farewell.empty()) return false;
  const std::vector<nghttp2_nv> fields = ToFields(response);
  const nghttp2_data_provider body = Body();
  if (end) stream->sending = SendState::kEnding;
  return nghttp2_submit_response(state.session, stream->id, fields.data(), fields.size(),
                                 end ? nullptr : &body) == 0;
}

void H2Session::Write(StreamId id, std::span<const uint8_t> data) {
  State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  CHECK(stream != nullptr && stream->pending.empty() && stream->sending == SendState::kOpen);
  CHECK(state_->role == Role::kClient || stream->answered);
  if (stream->closed || stream->reset_by_us || data.empty()) return;
  stream->pending = data;
  state_->pending_bytes += data.size();
  state_->ResumeSending(*stream);
}

void H2Session::CancelWrite(StreamId id) {
  State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  if (stream == nullptr) return;
  state_->pending_bytes -= std::exchange(stream->pending, {}).size();
}

void H2Session::Rest(StreamId id) {
  State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  if (stream == nullptr || !stream->deferred || stream->closed || stream->reset_by_us) return;
  stream->deferred = false;
  stream->rest_asked = true;
  nghttp2_session_resume_data(state_->session, stream->id);
}

void H2Session::EndWrite(StreamId id, const Headers& trailers) {
  State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  CHECK(stream != nullptr && stream->pending.empty());
  CHECK(state_->role == Role::kClient || stream->answered);
  if (stream->closed || stream->reset_by_us || stream->sending != SendState::kOpen) return;
  stream->sending = SendState::kEnding;
  if (!trailers.empty()) stream->trailers = std::make_unique<const Headers>(trailers);
  state_->ResumeSending(*stream);
}

void H2Session::Consumed(StreamId id, size_t n) {
  State& state = *state_;
  State::Stream* stream = state.Find(static_cast<int32_t>(id));
  if (stream != nullptr) state.LetGo(*stream, std::min<size_t>(stream->held, n));
  state.ReturnConnectionWindow();
  // When the peer has ended nothing more can come.
  if (stream == nullptr || stream->closed || stream->remote_ended || n == 0) return;
  const size_t size = stream->window.size();
  const size_t wanted = stream->window.OnConsumed(n, state.clock.Monotonic(), state.options.stream_window_max);
  if (wanted > size && (state.budget == nullptr || state.budget->ample())) {
    stream->window.Resize(wanted);
    ++state.stats.windows_grown;
    nghttp2_session_set_local_window_size(state.session, NGHTTP2_FLAG_NONE, stream->id,
                                          static_cast<int32_t>(wanted));
  }
  nghttp2_session_consume_stream(state.session, stream->id, n);
}

void H2Session::Reset(StreamId id, ErrorCode code) {
  State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  if (stream == nullptr || stream->closed || stream->reset_by_us) return;
  CancelWrite(id);
  state_->SubmitReset(stream->id, code);
}

void H2Session::Release(StreamId id) {
  State& state = *state_;
  State::Stream* stream = state.Find(static_cast<int32_t>(id));
  if (stream == nullptr || stream->released) return;
  CancelWrite(id);
  stream->released = true;
  --state.active_streams;
  state.LetGo(*stream, stream->held);
  state.ReturnConnectionWindow();
  if (stream->closed) return state.Erase(*stream);
  // A server that has answered in full stops the rest of the request with NO_ERROR (RFC 9113
  // section 8.1), but only when the answer's end has been sent: RST_STREAM would overtake it.
  if (state.role == Role::kServer && stream->sending == SendState::kEnding) return;
  const bool answered = state.role == Role::kServer && stream->sending == SendState::kEnded;
  if (!stream->reset_by_us)
    state.SubmitReset(stream->id, answered ? ErrorCode::kNoError : ErrorCode::kCancel);
}

void H2Session::Ping() { nghttp2_submit_ping(state_->session, NGHTTP2_FLAG_NONE, kKeepAlivePing); }

void H2Session::StartDrain() {
  if (std::exchange(state_->draining, true)) return;
  if (state_->role == Role::kClient) return FinishDrain();
  nghttp2_submit_shutdown_notice(state_->session);
  nghttp2_submit_ping(state_->session, NGHTTP2_FLAG_NONE, kDrainPing);
}

void H2Session::FinishDrain() {
  state_->draining = true;
  if (std::exchange(state_->drained, true)) return;
  nghttp2_submit_goaway(state_->session, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(state_->session), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void H2Session::Close(ErrorCode code, std::string reason) { state_->Fail(code, std::move(reason)); }

size_t H2Session::active_streams() const { return state_->active_streams; }

uint32_t H2Session::peer_max_streams() const {
  if (!state_->settings_received) return kPeerMaxStreamsAssumed;
  return nghttp2_session_get_remote_settings(state_->session,
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool H2Session::peer_settings_received() const { return state_->settings_received; }
bool H2Session::goaway_received() const { return state_->goaway_received; }
const H2Stats& H2Session::stats() const { return state_->stats; }

size_t H2Session::held_bytes(StreamId id) const {
  const State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  return stream == nullptr ? 0 : stream->held;
}

size_t H2Session::missing_data_bytes() const {
  const FrameHeader& frame = state_->scanner.frame();
  // Of what is missing of a padded frame, all may be padding.
  const bool data = frame.type == NGHTTP2_DATA && (frame.flags & NGHTTP2_FLAG_PADDED) == 0;
  return data ? state_->scanner.missing() : 0;
}

size_t H2Session::stream_window(StreamId id) const {
  const State::Stream* stream = state_->Find(static_cast<int32_t>(id));
  return stream == nullptr ? 0 : stream->window.size();
}

}  // namespace heddle::http
