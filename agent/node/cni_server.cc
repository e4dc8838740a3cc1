#include "agent/node/cni_server.h"

#include <absl/strings/str_cat.h>

#include "lib/base/log.h"
#include "lib/cni/error.h"

namespace heddle::agent {
namespace {

// A runtime starts a few sandboxes at a time; kubelet's limit on parallel pod starts is far below.
constexpr size_t kConnectionsMax = 256;
// Below the plugin's own limit of 8 s, so that it hears our sentence and not its own.
constexpr absl::Duration kAnswerTimeout = absl::Milliseconds(7500);

cni::Reply Refuse(cni::ErrorCode code, std::string sentence) {
  return {.code = static_cast<int>(code), .msg = std::move(sentence), .details = {}};
}

}  // namespace

Task<void> CniServer::Run(std::unique_ptr<io::UnixListener> listener, StopToken stop) {
  while (true) {
    auto accepted = co_await listener->Accept(stop);
    if (!accepted) break;
    if (scope_.live() >= kConnectionsMax) {
      ++stats_.refused_total;
      continue;
    }
    scope_.Spawn(Serve(*std::move(accepted)));
  }
  co_await scope_.Drain(kAnswerTimeout);
}

Task<void> CniServer::Serve(UniqueFd fd) {
  ++stats_.requests_total;
  io::UnixPacketConnection connection(loop_, std::move(fd));
  Deadline deadline(loop_, scope_.stop(), kAnswerTimeout);
  const cni::Reply reply = co_await Answer(connection, deadline.token());
  const std::string text = cni::EncodeReply(reply);
  // A deadline of its own: the answer that time ran out must still go out.
  Deadline sending(loop_, {}, absl::Milliseconds(200));
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const auto sent = co_await connection.Send(bytes, sending.token());
  if (!sent) LOG_DEBUG("cni.reply.lost", KV("error", sent.error()));
  handler_.PrepareNext();
}

Task<cni::Reply> CniServer::Answer(io::UnixPacketConnection& connection, StopToken stop) {
  const auto credentials = connection.peer_credentials();
  if (!credentials || credentials->uid != 0) {
    ++stats_.refused_total;
    co_return Refuse(cni::ErrorCode::kIo, "only root may speak to the agent's CNI socket");
  }
  auto message = co_await connection.Receive(cni::kMaxMessageBytes, stop);
  if (!message || message->bytes.empty()) {
    ++stats_.refused_total;
    co_return Refuse(cni::ErrorCode::kIo, "no request came");
  }
  if (message->truncated) {
    ++stats_.refused_total;
    co_return Refuse(cni::ErrorCode::kDecode,
                     "the request is too long or carries more than one descriptor");
  }
  auto request = cni::DecodeRequest(
      {reinterpret_cast<const char*>(message->bytes.data()), message->bytes.size()});
  if (!request) {
    ++stats_.refused_total;
    co_return Refuse(request.error().code, request.error().msg);
  }
  if (cni::CarriesNetns(request->command) != message->descriptor.valid()) {
    ++stats_.refused_total;
    co_return Refuse(cni::ErrorCode::kDecode,
                     "ADD and CHECK carry one netns descriptor, other commands none");
  }
  co_return co_await handler_.Handle(*std::move(request), std::move(message->descriptor), stop);
}

}  // namespace heddle::agent
