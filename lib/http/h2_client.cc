#include "lib/http/h2_client.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/status.h"

namespace heddle::http {
namespace {

// How often a connection that takes no more requests is looked at for having none left.
constexpr absl::Duration kRetireInterval = absl::Seconds(1);

absl::Status Stopped(const StopToken& stop, const std::string& server) {
  const std::string text = absl::StrCat("waiting for a connection to ", server);
  return stop.reason() == StopReason::kDeadline ? absl::DeadlineExceededError(text)
                                                : absl::CancelledError(text);
}

}  // namespace

H2Client::H2Client(io::Loop& loop, Dial dial, H2ClientOptions options)
    : loop_(loop),
      dial_(std::move(dial)),
      options_(std::move(options)),
      attempt_ended_(loop),
      connection_made_(loop),
      scope_(loop) {}

Task<absl::StatusOr<H2ClientConnection*>> H2Client::Connection(StopToken stop) {
  if (shut_down_) co_return absl::CancelledError("the client was shut down");
  if (connected()) co_return current_;
  if (!connecting_) {
    connecting_ = true;
    scope_.Spawn(Connect());
  }
  while (connecting_) {
    if (!co_await attempt_ended_.Wait(stop)) co_return Stopped(stop, options_.server);
  }
  if (connected()) co_return current_;
  co_return failure_;
}

Task<void> H2Client::Connect() {
  Deadline patience(loop_, scope_.stop(), options_.connect_timeout);
  auto transport = co_await dial_(patience.token());
  connecting_ = false;
  attempt_ended_.NotifyAll();
  if (shut_down_) {
    failure_ = absl::CancelledError("the client was shut down");
    co_return;
  }
  if (!transport.ok()) {
    failure_ = Annotate(transport.status(), "connecting to ", options_.server);
    co_return;
  }
  // Lost before those who wait for it have run.
  failure_ = absl::UnavailableError(absl::StrCat("lost the connection to ", options_.server));
  ++connects_total_;
  auto connection =
      std::make_unique<H2ClientConnection>(loop_, *std::move(transport), options_.connection);
  current_ = connection.get();
  running_.emplace(connects_total_, current_);
  connection_made_.NotifyAll();
  scope_.Spawn(Run(std::move(connection), connects_total_));
}

Task<void> H2Client::Run(std::unique_ptr<H2ClientConnection> connection, uint64_t number) {
  co_await connection->Run(scope_.stop());
  if (current_ == connection.get()) current_ = nullptr;
  running_.erase(number);
}

Task<bool> H2Client::AwaitConnection(absl::Duration patience, StopToken stop) {
  Deadline over(loop_, stop, patience);
  if (!connected()) (void)co_await connection_made_.Wait(over.token());
  co_return !stop.requested();
}

void H2Client::Retire(H2ClientConnection* connection) {
  if (current_ != connection || connection == nullptr) return;
  current_ = nullptr;
  // The newest is the one that requests went to.
  scope_.Spawn(EndWhenIdle(connects_total_));
}

Task<void> H2Client::EndWhenIdle(uint64_t number) {
  while (co_await loop_.Sleep(kRetireInterval, scope_.stop())) {
    const auto found = running_.find(number);
    if (found == running_.end()) co_return;
    if (found->second->active_streams() > 0) continue;
    found->second->Close(ErrorCode::kNoError, "retired");
    co_return;
  }
}

Task<void> H2Client::Shutdown() {
  shut_down_ = true;
  for (const auto& [number, connection] : running_)
    connection->Close(ErrorCode::kNoError, "shut down");
  co_await scope_.Drain(options_.connection.close_timeout);
}

}  // namespace heddle::http
