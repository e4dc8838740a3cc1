#include "lib/grpc/server_call.h"

#include <utility>

#include "lib/base/check.h"
#include "lib/grpc/status.h"

namespace heddle::grpc {
namespace {

constexpr size_t kReadSize = 64 * 1024;

http::Headers ResponseHeaders() {
  return {{":status", "200"}, {"content-type", "application/grpc"}};
}

}  // namespace

ServerCall::ServerCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, const Peer& peer,
                       size_t message_bytes_max, std::optional<absl::Duration> timeout)
    : stream_(std::move(stream)),
      peer_(peer),
      path_(stream_->headers().Get(":path")),
      ended_(stream_->aborted()),
      deadline_(loop, ended_.token(), timeout.value_or(absl::InfiniteDuration())),
      reader_(message_bytes_max) {}

Task<absl::StatusOr<std::optional<std::string>>> ServerCall::Receive() {
  while (true) {
    if (auto message = reader_.TakeMessage()) co_return message;
    if (!unread_.empty()) {
      const absl::StatusOr<size_t> taken = reader_.Feed(unread_.bytes());
      if (!taken.ok()) co_return taken.status();
      unread_.Consume(*taken);
      continue;
    }
    auto read = co_await stream_->Read(kReadSize, deadline_.token());
    if (!read) co_return StatusFromError(read.error());
    unread_ = *std::move(read);
    if (!unread_.empty()) continue;
    if (reader_.partial())
      co_return absl::InternalError("the request ends in the middle of a message");
    co_return std::optional<std::string>();
  }
}

Task<absl::Status> ServerCall::Send(std::string_view message) {
  if (absl::Status responded = Respond(); !responded.ok()) co_return responded;
  sending_ = Frame(message);
  absl::Status sent = co_await WriteSending();
  sending_ = {};
  co_return sent;
}

Task<absl::Status> ServerCall::Send(MessagePieces& message) {
  if (absl::Status responded = Respond(); !responded.ok()) co_return responded;
  size_t left = message.size();
  sending_ = Prefix(left);
  absl::Status sent;
  do {
    const size_t before = sending_.size();
    if (left > 0) message.AppendNext(sending_);
    const size_t piece = sending_.size() - before;
    CHECK(piece <= left && (piece > 0 || left == 0));
    left -= piece;
    sent = co_await WriteSending();
    sending_.clear();
  } while (left > 0 && sent.ok());
  sending_ = {};
  co_return sent;
}

Task<absl::Status> ServerCall::WriteSending() {
  const std::span bytes(reinterpret_cast<const uint8_t*>(sending_.data()), sending_.size());
  auto written = co_await stream_->Write(bytes, deadline_.token());
  co_return written ? absl::OkStatus() : StatusFromError(written.error());
}

absl::Status ServerCall::Respond() {
  if (std::exchange(responded_, true)) return absl::OkStatus();
  auto responded = stream_->Respond(ResponseHeaders(), false);
  return responded ? absl::OkStatus() : StatusFromError(responded.error());
}

void ServerCall::Finish(absl::Status status) {
  if (deadline_.expired()) status = absl::DeadlineExceededError("deadline exceeded");
  // An error here means that the client is gone: nobody is left to be told.
  if (responded_) {
    http::Headers trailers;
    AppendStatus(status, trailers);
    (void)stream_->EndWithTrailers(trailers);
  } else {
    http::Headers headers = ResponseHeaders();
    AppendStatus(status, headers);
    (void)stream_->Respond(headers, true);
  }
}

}  // namespace heddle::grpc
