#include "agent/node/removal_follower.h"

#include <utility>

#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/node.pb.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] = "/heddle.node.v1.NodeRemoval/Follow";

}  // namespace

RemovalFollower::RemovalFollower(Parts parts)
    : parts_(std::move(parts)),
      call_({.loop = parts_.loop,
             .random = parts_.random,
             .channel = parts_.channel,
             .method = kMethod,
             .authorize = std::move(parts_.authorize),
             .begun = [this] { told_.reset(); },
             .next = [this] { return Next(); },
             .received = [this](const std::string& message) { return Ordered(message); }}) {}

void RemovalFollower::Report(RemovalReport report) {
  report_ = std::move(report);
  call_.Notify();
}

std::optional<std::string> RemovalFollower::Next() {
  if (told_ == report_) return std::nullopt;
  told_ = report_;
  node::v1::RemovalReport message;
  message.set_node(parts_.node_name);
  message.set_gone(report_.gone);
  message.set_note(report_.note);
  return message.SerializeAsString();
}

absl::Status RemovalFollower::Ordered(const std::string& message) {
  TRY_ASSIGN(const auto order, grpc::Parse<node::v1::RemovalOrder>(message));
  parts_.on_order({.leave = order.leave(), .drain = absl::Seconds(order.drain_seconds())});
  return absl::OkStatus();
}

}  // namespace heddle::agent
