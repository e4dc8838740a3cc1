// What nghttp2 tells a session. Nothing is decided for the owner of the session here: callbacks
// record and queue events, and the session acts when nghttp2 has returned. Two things are done
// inside, as nghttp2 wants them there: refusing a stream whose headers begin, and giving trailers
// when the data ends.

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>

#include "lib/base/copy_bytes.h"
#include "lib/http/h2_fields.h"
#include "lib/http/h2_session_state.h"

namespace heddle::http {

struct H2Callbacks {
  using State = H2Session::State;
  static State& From(void* user_data) { return *static_cast<State*>(user_data); }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user_data);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                    void* user_data);
  static int OnStreamClose(nghttp2_session*, int32_t id, uint32_t code, void* user_data);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int error,
                            void* user_data);
  static ssize_t ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t length,
                          uint32_t* flags, nghttp2_data_source*, void* user_data);
  static ssize_t FrameLength(nghttp2_session*, uint8_t type, int32_t id, int32_t connection_window,
                             int32_t stream_window, uint32_t peer_frame_bytes_max, void*);
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t length,
                      nghttp2_data_source*, void* user_data);

 private:
  static void OnResetSent(State& state, const nghttp2_frame& frame);
  static void OnSettings(State& state);
  static void OnPingAck(State& state, const nghttp2_ping& ping);
  static void OnGoaway(State& state, const nghttp2_goaway& goaway);
};

int H2Callbacks::OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  State& state = From(user_data);
  state.block = {};
  state.block_bytes = 0;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  // nghttp2 counts streams until they are closed; we count until the work for them has ended, or
  // resetting them would let a peer pile up work (CVE-2023-44487).
  if (state.streams.size() < state.options.max_concurrent_streams &&
      state.Add(frame->hd.stream_id) != nullptr)
    return 0;
  ++state.stats.streams_refused;
  nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                            NGHTTP2_REFUSED_STREAM);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int H2Callbacks::OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                          size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                          void* user_data) {
  State& state = From(user_data);
  state.block_bytes += name_size + value_size + Headers::kFieldOverhead;
  if (state.block_bytes > state.options.header_list_bytes_max) {
    state.Violate(H2Limit::kHeaderListBytes);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  state.block.Add(std::string(reinterpret_cast<const char*>(name), name_size),
                  std::string(reinterpret_cast<const char*>(value), value_size));
  return 0;
}

int H2Callbacks::OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  State& state = From(user_data);
  const int32_t id = frame->hd.stream_id;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      if (!state.OnHeaders(id)) {
        nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
        return 0;
      }
      [[fallthrough]];
    case NGHTTP2_DATA: {
      State::Stream* stream = state.Find(id);
      if (stream != nullptr && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        state.OnRemoteEnd(*stream);
      break;
    }
    case NGHTTP2_RST_STREAM:
      ++state.stats.resets_received;
      if (State::Stream* stream = state.Find(id)) stream->reset_by_peer = true;
      break;
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) OnSettings(state);
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) OnPingAck(state, frame->ping);
      break;
    case NGHTTP2_GOAWAY: OnGoaway(state, frame->goaway); break;
    default: break;
  }
  return 0;
}

void H2Callbacks::OnSettings(State& state) {
  if (state.settings_received) return;
  state.settings_received = true;
  state.Emit({.type = H2Event::Type::kSettings});
}

void H2Callbacks::OnPingAck(State& state, const nghttp2_ping& ping) {
  if (std::memcmp(ping.opaque_data, kKeepAlivePing, sizeof(kKeepAlivePing)) == 0) {
    state.Emit({.type = H2Event::Type::kPingAck});
  } else if (state.draining && std::memcmp(ping.opaque_data, kDrainPing, sizeof(kDrainPing)) == 0) {
    // The notice has reached the peer: what it opens from now on, it opens against better
    // knowledge.
    state.drain_acknowledged = true;
  }
}

void H2Callbacks::OnGoaway(State& state, const nghttp2_goaway& goaway) {
  state.goaway_received = true;
  const auto code = static_cast<ErrorCode>(goaway.error_code);
  if (code != ErrorCode::kNoError && !state.end) {
    // Debug data is for people and may be long.
    constexpr size_t kReasonMax = 256;
    const size_t size = std::min(goaway.opaque_data_len, kReasonMax);
    state.end =
        H2End{code, true, std::string(reinterpret_cast<const char*>(goaway.opaque_data), size)};
  }
  state.Emit({.type = H2Event::Type::kGoaway, .code = code, .by_peer = true});
}

int H2Callbacks::OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                        void* user_data) {
  State& state = From(user_data);
  state.received_data += size;
  State::Stream* stream = state.Find(id);
  if (stream == nullptr || stream->reset_by_us || stream->released || stream->shed) return 0;
  // nghttp2 resets a stream that exceeds its window, but still hands over the frame that did.
  if (stream->held + size > std::max(stream->window.size(), kWindowBeforeSettings)) return 0;
  if (!state.Hold(*stream, size)) {
    stream->shed = true;
    nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
  }
  state.Emit({.type = H2Event::Type::kData, .stream = StreamId{id}, .data = {data, size}});
  return 0;
}

int H2Callbacks::OnStreamClose(nghttp2_session*, int32_t id, uint32_t code, void* user_data) {
  State& state = From(user_data);
  if (State::Stream* stream = state.Find(id)) state.OnClosed(*stream, static_cast<ErrorCode>(code));
  return 0;
}

int H2Callbacks::OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  State& state = From(user_data);
  const bool has_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
  if (has_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
    if (State::Stream* stream = state.Find(frame->hd.stream_id)) state.OnLocalEnd(*stream);
  } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
    OnResetSent(state, *frame);
  } else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
             !state.end) {
    // nghttp2's own verdict on a peer that broke the protocol, sometimes without a word.
    const auto code = static_cast<ErrorCode>(frame->goaway.error_code);
    const auto* text = reinterpret_cast<const char*>(frame->goaway.opaque_data);
    std::string reason(text, frame->goaway.opaque_data_len);
    if (reason.empty()) reason = "the peer broke HTTP/2: " + std::string(ToString(code));
    state.end = H2End{code, false, std::move(reason)};
  }
  return 0;
}

void H2Callbacks::OnResetSent(State& state, const nghttp2_frame& frame) {
  const State::Stream* stream = state.Find(frame.hd.stream_id);
  if (stream != nullptr && (stream->reset_by_us || stream->shed)) return;
  ++state.stats.resets_provoked;
  if (!state.guard.OnResetProvoked(state.clock.Monotonic()))
    state.Violate(H2Limit::kResetsProvoked);
}

int H2Callbacks::OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int,
                                void* user_data) {
  State& state = From(user_data);
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  // A request that never left, because of a GOAWAY that came first: nobody has seen it.
  State::Stream* stream = state.Find(frame->hd.stream_id);
  if (stream != nullptr) state.OnClosed(*stream, ErrorCode::kRefusedStream);
  return 0;
}

ssize_t H2Callbacks::ReadData(nghttp2_session* session, int32_t id, uint8_t*, size_t length,
                              uint32_t* flags, nghttp2_data_source*, void* user_data) {
  State& state = From(user_data);
  State::Stream* stream = state.Find(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (stream->pending.empty()) {
    if (stream->sending == SendState::kOpen && std::exchange(stream->rest_asked, false)) {
      // Data without bytes that ends nothing: no frame is sent, and what asks for data is done with.
      stream->resting = true;
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      return 0;
    }
    if (stream->sending == SendState::kOpen) {
      stream->deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv> fields = ToFields(*stream->trailers);
      if (nghttp2_submit_trailer(session, id, fields.data(), fields.size()) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  const size_t size = std::min(length, stream->pending.size());
  const size_t taken = state.FrameBytes(id, size);
  if (size == stream->pending.size() || size >= kFrameEarnsMin) state.guard.OnDataSent(taken);
  return static_cast<ssize_t>(taken);
}

// How long a frame the peer takes, within the windows: what streams of one connection take turns in. No longer than
// there are bytes: nghttp2 has a buffer of this size from then on.
ssize_t H2Callbacks::FrameLength(nghttp2_session*, uint8_t, int32_t id, int32_t connection_window,
                                 int32_t stream_window, uint32_t peer_frame_bytes_max,
                                 void* user_data) {
  const auto window = static_cast<size_t>(std::max(0, std::min(connection_window, stream_window)));
  const State::Stream* stream = From(user_data).Find(id);
  const size_t pending = stream == nullptr ? 0 : stream->pending.size();
  return static_cast<ssize_t>(std::min({window, static_cast<size_t>(peer_frame_bytes_max),
                                        kBulkFrameBytes, std::max<size_t>(pending, 1)}));
}

int H2Callbacks::SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header,
                          size_t length, nghttp2_data_source*, void* user_data) {
  State& state = From(user_data);
  State::Stream* stream = state.Find(frame->hd.stream_id);
  // The write was cancelled after its frame had been prepared: the stream is being reset.
  if (stream == nullptr || stream->pending.size() < length) {
    state.waiting_bytes = 0;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (state.space.size() < FrameScanner::kHeaderBytes + length) return NGHTTP2_ERR_WOULDBLOCK;
  state.waiting_bytes = 0;
  state.output_begun = true;
  std::memcpy(state.space.data(), header, FrameScanner::kHeaderBytes);
  CopyBytes(stream->pending.first(length), state.space.data() + FrameScanner::kHeaderBytes);
  state.space = state.space.subspan(FrameScanner::kHeaderBytes + length);
  stream->pending = stream->pending.subspan(length);
  state.pending_bytes -= length;
  if (stream->pending.empty() && !stream->reset_by_us) {
    state.Emit({.type = H2Event::Type::kWritten, .stream = StreamId{frame->hd.stream_id}});
  }
  return 0;
}

nghttp2_data_source_read_callback DataReader() { return &H2Callbacks::ReadData; }

nghttp2_session* MakeNghttp2Session(Role role, const H2Options& options, void* state) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &H2Callbacks::OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &H2Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &H2Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &H2Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &H2Callbacks::OnStreamClose);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, &H2Callbacks::OnFrameSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, &H2Callbacks::OnFrameNotSent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, &H2Callbacks::SendData);
  nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks,
                                                                 &H2Callbacks::FrameLength);

  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, kPeerMaxStreamsAssumed);
  nghttp2_option_set_max_continuations(option, options.header_block_frames_max);
  nghttp2_option_set_max_outbound_ack(option, options.outbound_queue_frames_max);
  // Its budget of resets is not ours: FloodGuard counts.
  constexpr uint64_t kNever = 1u << 30;
  nghttp2_option_set_stream_reset_rate_limit(option, kNever, kNever);

  nghttp2_session* session = nullptr;
  const int made = role == Role::kClient
                       ? nghttp2_session_client_new2(&session, callbacks, state, option)
                       : nghttp2_session_server_new2(&session, callbacks, state, option);
  CHECK(made == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  return session;
}

}  // namespace heddle::http
