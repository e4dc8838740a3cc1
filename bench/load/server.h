#pragma once

#include <string>
#include <vector>

#include "lib/io/address.h"
#include "lib/io/loop.h"

namespace heddle::bench {

struct ServerOptions {
  io::SocketAddress listen;
  std::vector<std::string> namespaces;  // Files of those to listen in; empty: the own one.
  size_t workers = 2;
  io::BackendChoice backend = io::BackendChoice::kAuto;
};

struct RelayOptions {
  ServerOptions server;
  io::SocketAddress to;
};

// Answers clients until SIGTERM or SIGINT. Says "listening" on standard output. Returns the exit code.
int RunServer(const ServerOptions& options);
// Carries each connection on to another address, in clear: the price of a user-space hop without a mesh.
int RunRelay(const RelayOptions& options);

}  // namespace heddle::bench
