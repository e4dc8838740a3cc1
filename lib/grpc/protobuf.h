#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/message_lite.h>

#include <string>

#include "lib/base/task.h"
#include "lib/grpc/channel.h"
#include "lib/grpc/server.h"

namespace heddle::grpc {

// Typed messages over the calls of bytes.

// INVALID_ARGUMENT when the bytes are not a message of this type.
template <typename Message>
absl::StatusOr<Message> Parse(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("message is not a valid ", message.GetTypeName()));
  }
  return message;
}

// A unary call: co_await CallTyped<Response>(channel, "/package.Service/Method", request, options,
// stop).
template <typename Response, typename Request>
Task<absl::StatusOr<Response>> CallTyped(Channel& channel, std::string path, const Request& request,
                                         CallOptions options, StopToken stop) {
  absl::StatusOr<std::string> bytes =
      co_await channel.Call(std::move(path), request.SerializeAsString(), std::move(options), stop);
  if (!bytes.ok()) co_return bytes.status();
  co_return Parse<Response>(*bytes);
}

}  // namespace heddle::grpc
