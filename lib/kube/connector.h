#pragma once

#include "lib/io/loop.h"
#include "lib/io/network.h"
#include "lib/kube/api_client.h"
#include "lib/kube/cluster_access.h"

namespace heddle::kube {

// Connects to an API server: its name resolved anew, then TCP, then TLS 1.3 that verifies the
// server's chain and name and presents the client's certificate, if there is one; roots,
// certificate and key are read anew at each connect, because they rotate. `network` and `clock`
// outlive the connector.
Connector MakeConnector(io::Loop& loop, io::Network& network, const Clock& clock,
                        ClusterAccess access);

// What a client of this cluster is made with.
ApiClientOptions ClientOptions(const ClusterAccess& access, std::string user_agent);

}  // namespace heddle::kube
