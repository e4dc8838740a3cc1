#include "lib/http/h2_session_state.h"

#include <absl/strings/str_cat.h>
#include <nghttp2/nghttp2.h>

#include <utility>

#include "lib/http/h2_fields.h"

namespace heddle::http {
namespace {

constexpr size_t kClientPrefaceBytes = 24;  // RFC 9113 section 3.4.

void AppendUint32(std::vector<uint8_t>& bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<uint8_t>(value >> shift));
}

// RFC 9113 section 6.8: the frame's header, last stream, code, debug data.
std::vector<uint8_t> GoawayFrame(int32_t last_stream, ErrorCode code, std::string_view reason) {
  const auto length = static_cast<uint32_t>(8 + reason.size());
  std::vector<uint8_t> frame;
  AppendUint32(frame, length << 8 | NGHTTP2_GOAWAY);
  frame.insert(frame.end(), {0, 0, 0, 0, 0});
  AppendUint32(frame, static_cast<uint32_t>(last_stream));
  AppendUint32(frame, static_cast<uint32_t>(code));
  frame.insert(frame.end(), reason.begin(), reason.end());
  return frame;
}

// A request is for one host: RFC 9113 section 8.3.1 calls Host beside another :authority malformed.
bool HostsDisagree(const Headers& request) {
  const std::string* authority = request.Find(":authority");
  const std::string* host = request.Find("host");
  return authority != nullptr && host != nullptr && *authority != *host;
}

std::string Describe(H2Limit limit, const H2Options& options) {
  switch (limit) {
    case H2Limit::kHeaderListBytes:
      return absl::StrCat("header list larger than ", options.header_list_bytes_max, " bytes");
    case H2Limit::kHeaderBlock:
      return absl::StrCat("header block of more than ", options.header_block_frames_max,
                          " frames or ", options.header_list_bytes_max, " bytes");
    case H2Limit::kResetsReceived: return "too many streams reset by the peer";
    case H2Limit::kResetsProvoked: return "too many streams reset because of the peer's errors";
    case H2Limit::kControlFrames: return "too many frames that carry nothing";
    case H2Limit::kOutboundQueue: return "peer does not read what it makes us send";
    case H2Limit::kCount: break;
  }
  return "limit reached";
}

}  // namespace

H2Session::State::State(Role role, const H2Options& options, Clock& clock, ReceiveBudget* budget)
    : role(role),
      options(options),
      clock(clock),
      budget(budget),
      scanner(role == Role::kServer ? kClientPrefaceBytes : 0),
      guard(options, clock.Monotonic()) {}

H2Session::State::~State() {
  nghttp2_session_del(session);
  if (budget == nullptr) return;
  budget->Return(held);
}

H2Session::State::Stream* H2Session::State::Find(int32_t id) {
  const auto found = streams.find(id);
  return found == streams.end() ? nullptr : found->get();
}

H2Session::State::Stream* H2Session::State::Add(int32_t id) {
  if (budget != nullptr && budget->exhausted()) return nullptr;
  ++stats.streams_total;
  ++open_streams;
  ++active_streams;
  return streams.insert(std::make_unique<Stream>(id, options, clock.Monotonic())).first->get();
}

void H2Session::State::Erase(Stream& stream) {
  LetGo(stream, stream.held);
  if (!stream.closed) --open_streams;
  if (!stream.released) --active_streams;
  streams.erase(stream.id);
}

bool H2Session::State::Hold(Stream& stream, size_t bytes) {
  if (budget != nullptr) {
    const bool little = stream.held + bytes <= options.stream_window_initial;
    if (little ? !budget->TryTake(bytes) : !budget->TryTakeMore(bytes)) return false;
  }
  stream.held += static_cast<uint32_t>(bytes);
  held += bytes;
  return true;
}

void H2Session::State::LetGo(Stream& stream, size_t bytes) {
  stream.held -= static_cast<uint32_t>(bytes);
  held -= bytes;
  if (budget != nullptr) budget->Return(bytes);
}

void H2Session::State::ReturnConnectionWindow() {
  if (received_data == 0 || held > options.connection_held_max) return;
  nghttp2_session_consume_connection(session, std::exchange(received_data, 0));
}

void H2Session::State::OnClosed(Stream& stream, ErrorCode code) {
  if (stream.closed) return;
  stream.closed = true;
  --open_streams;
  pending_bytes -= std::exchange(stream.pending, {}).size();
  if (waiting_stream == stream.id) waiting_bytes = 0;
  // A request that was malformed never reached an owner.
  if (stream.released || !stream.surfaced) return Erase(stream);
  const bool in_order = stream.remote_ended && stream.sending == SendState::kEnded;
  if (in_order || stream.reset_by_us) return;
  Emit({.type = H2Event::Type::kReset,
        .stream = StreamId{stream.id},
        .code = code,
        .by_peer = stream.reset_by_peer});
}

void H2Session::State::OnRemoteEnd(Stream& stream) {
  stream.remote_ended = true;
  if (!stream.reset_by_us) Emit({.type = H2Event::Type::kEnd, .stream = StreamId{stream.id}});
}

void H2Session::State::OnLocalEnd(Stream& stream) {
  stream.sending = SendState::kEnded;
  if (stream.released && !stream.remote_ended) linger.push_back(stream.id);
}

bool H2Session::State::OnHeaders(int32_t id) {
  Stream* stream = Find(id);
  if (stream == nullptr) return true;
  H2Event event{.type = H2Event::Type::kTrailers,
                .stream = StreamId{id},
                .headers = std::exchange(block, {})};
  if (role == Role::kServer && !stream->surfaced) {
    if (HostsDisagree(event.headers)) return false;
    event.type = H2Event::Type::kRequest;
    stream->surfaced = true;
  } else if (role == Role::kClient && !stream->answered) {
    const int status = event.headers.status();
    if (status == 0) return false;  // The library lets "099" pass.
    // Informational: dropped, and not given back to the flood guard.
    if (status < 200) return true;
    event.type = H2Event::Type::kResponse;
    stream->answered = true;
  }
  guard.OnHeadersUsed();
  if (!stream->reset_by_us) Emit(std::move(event));
  return true;
}

void H2Session::State::SubmitReset(int32_t id, ErrorCode code) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->closed) return;
  stream->reset_by_us = true;
  if (stream->shed) return;
  nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}

void H2Session::State::ResumeSending(Stream& stream) {
  stream.rest_asked = false;
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session, stream.id);
  if (std::exchange(stream.resting, false)) {
    const nghttp2_data_provider body = Body();
    nghttp2_submit_data(session, NGHTTP2_FLAG_END_STREAM, stream.id, &body);
  }
}

void H2Session::State::Fail(ErrorCode code, std::string reason) {
  if (!farewell.empty()) return;
  const int32_t last = role == Role::kServer ? nghttp2_session_get_last_proc_stream_id(session) : 0;
  farewell = GoawayFrame(last, code, reason);
  if (!end) end = H2End{code, false, std::move(reason)};
}

void H2Session::State::Violate(H2Limit limit) {
  if (!farewell.empty()) return;
  ++stats.limit_violations[static_cast<size_t>(limit)];
  Fail(ErrorCode::kEnhanceYourCalm, Describe(limit, options));
}

void H2Session::State::CheckOutboundQueue() {
  // Each stream of ours may have headers, a window update and a reset on their way.
  constexpr size_t kFramesPerStream = 4;
  const size_t allowed = options.outbound_queue_frames_max + kFramesPerStream * streams.size();
  if (nghttp2_session_get_outbound_queue_size(session) > allowed) Violate(H2Limit::kOutboundQueue);
}

size_t H2Session::State::FrameBytes(int32_t id, size_t bytes) {
  const size_t room = space.size() - std::min(space.size(), FrameScanner::kHeaderBytes);
  if (bytes <= room) return bytes;
  // What is cut off is a frame of its own, and at the peer a write of its own.
  if (room >= kFrameCutMin && (!output_begun || room >= bytes / 2)) return room;
  waiting_stream = id;
  waiting_bytes = bytes;
  return bytes;
}

}  // namespace heddle::http
