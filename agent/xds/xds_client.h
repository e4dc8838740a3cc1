#pragma once

#include <absl/functional/any_invocable.h>

#include <string>

#include "agent/model/state.h"
#include "agent/xds/delta_session.h"
#include "lib/base/random.h"
#include "lib/grpc/channel.h"
#include "lib/io/loop.h"

namespace heddle::agent {

struct XdsClientStatus {
  bool connected = false;  // A stream is open and has answered.
  std::string last_error;  // Why the last stream ended.
  absl::Time last_response = absl::InfinitePast();
  uint64_t responses_total = 0;
  uint64_t refused_total = 0;  // Resources that were refused (NACK).
  uint64_t streams_total = 0;
};

// Keeps a delta ADS stream to the controller: reconnects with back-off and jitter, applies each
// response in slices so that no turn of the loop takes long, acknowledges it, and publishes one
// State for it. What is held survives every disconnect. Control loop.
class XdsClient {
 public:
  struct Parts {
    io::Loop& loop;
    Random& random;
    grpc::Channel& channel;
    DeltaSession& session;
    // Header fields of the call; reads the token anew.
    absl::AnyInvocable<absl::StatusOr<grpc::Metadata>()> authorize;
    // Called with each new state.
    absl::AnyInvocable<void(StateRef)> publish;
  };
  explicit XdsClient(Parts parts) : parts_(std::move(parts)) {}

  // Until stopped.
  Task<void> Run(StopToken stop);
  const XdsClientStatus& status() const { return status_; }

 private:
  Task<absl::Status> ServeStream(StopToken stop);
  Task<absl::Status> Receive(grpc::ClientCall& call);
  Task<absl::Status> Apply(grpc::ClientCall& call, DeltaSession::Response response);

  Parts parts_;
  XdsClientStatus status_;
};

}  // namespace heddle::agent
