#pragma once

#include "agent/config.h"
#include "lib/grpc/channel.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// Connects to the controller: TCP, then TLS 1.3 that verifies its certificate against the roots
// file (read anew at each connect, because roots rotate) and its DNS name. `config` and `clock`
// outlive the connector.
grpc::Connector MakeControllerConnector(io::Loop& loop, const ControllerConfig& config,
                                        const Clock& clock);

// "authorization: Bearer <token>", with the token file's content as it is now.
absl::StatusOr<grpc::Metadata> AuthorizationMetadata(const ControllerConfig& config,
                                                     const std::string& cluster_id);

}  // namespace heddle::agent
