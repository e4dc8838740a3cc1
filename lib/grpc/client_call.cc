#include "lib/grpc/client_call.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/grpc/status.h"

namespace heddle::grpc {
namespace {

constexpr size_t kReadSize = 64 * 1024;

}  // namespace

ClientCall::ClientCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream,
                       size_t message_bytes_max, absl::Duration timeout, StopToken stop)
    : stream_(std::move(stream)), deadline_(loop, stop, timeout), reader_(message_bytes_max) {}

ClientCall::~ClientCall() = default;

Task<absl::Status> ClientCall::Send(std::string_view message) {
  if (status_) co_return absl::CancelledError("the call is over");
  sending_ = Frame(message);
  const std::span bytes(reinterpret_cast<const uint8_t*>(sending_.data()), sending_.size());
  auto written = co_await stream_->Write(bytes, deadline_.token());
  if (written) co_return absl::OkStatus();
  // A server that has answered may stop reading: its status is still to be received.
  if (written.error().stopped()) End(StatusFromError(written.error()));
  co_return StatusFromError(written.error());
}

Task<absl::Status> ClientCall::HalfClose() {
  if (status_) co_return absl::CancelledError("the call is over");
  auto ended = co_await stream_->ShutdownWrite(deadline_.token());
  co_return ended ? absl::OkStatus() : StatusFromError(ended.error());
}

Task<std::optional<std::string>> ClientCall::Receive() {
  while (!status_) {
    if (auto message = reader_.TakeMessage()) co_return message;
    if (!unread_.empty()) {
      const absl::StatusOr<size_t> taken = reader_.Feed(unread_.bytes());
      if (taken.ok()) {
        unread_.Consume(*taken);
      } else {
        End(taken.status());
      }
    } else if (!headers_read_) {
      co_await ReadHeaders();
    } else {
      co_await ReadBody();
    }
  }
  co_return std::nullopt;
}

Task<void> ClientCall::ReadHeaders() {
  auto response = co_await stream_->Response(deadline_.token());
  if (!response) co_return End(StatusFromError(response.error()));
  headers_read_ = true;
  const http::Headers& headers = **response;
  if (headers.Find("grpc-status") != nullptr) co_return End(StatusFromTrailers(headers));
  if (headers.status() != 200) co_return End(StatusFromHttp(headers.status()));
  const std::string_view type = headers.Get("content-type");
  if (IsGrpcContentType(type)) co_return;
  End(absl::UnknownError(
      absl::StrCat("the server answered with content-type '", std::string(type), "'")));
}

Task<void> ClientCall::ReadBody() {
  auto read = co_await stream_->Read(kReadSize, deadline_.token());
  if (!read) co_return End(StatusFromError(read.error()));
  unread_ = *std::move(read);
  if (!unread_.empty()) co_return;
  absl::Status status = StatusFromTrailers(stream_->trailers());
  if (status.ok() && reader_.partial())
    status = absl::InternalError("the response ends in the middle of a message");
  End(std::move(status));
}

Task<absl::Status> ClientCall::Finish() {
  while (co_await Receive()) continue;
  co_return *status_;
}

void ClientCall::Cancel() { End(absl::CancelledError("cancelled")); }

void ClientCall::End(absl::Status status) {
  if (status_) return;
  status_ = std::move(status);
  unread_.Release();
  // Nothing after an orderly end; else the server learns that nobody waits for it any more.
  if (!status_->ok()) stream_->Reset(http::ErrorCode::kCancel);
}

const Metadata& ClientCall::initial_metadata() const { return stream_->headers(); }

const Metadata& ClientCall::trailing_metadata() const {
  return stream_->trailers().empty() ? stream_->headers() : stream_->trailers();
}

}  // namespace heddle::grpc
