#pragma once

#include <memory>
#include <string>

#include "lib/base/scope.h"
#include "lib/http/h2_connection.h"
#include "lib/http/testing/session_pair.h"
#include "lib/io/testing/pipe.h"

namespace heddle::http {

// Options under which a test never waits long for a peer that is not there.
inline H2ConnectionOptions PatientOptions() {
  H2ConnectionOptions options;
  options.close_timeout = absl::Milliseconds(200);
  return options;
}

// Two connections over a pipe in memory, running. End() before it is destroyed.
struct ConnectionPair {
  explicit ConnectionPair(io::Loop& loop, const io::PipeOptions& pipe = {},
                          const H2ConnectionOptions& client_options = PatientOptions(),
                          const H2ConnectionOptions& server_options = PatientOptions())
      : ConnectionPair(loop, io::MakePipe(loop, pipe), client_options, server_options) {}
  ConnectionPair(io::Loop& loop, io::Pipe ends, const H2ConnectionOptions& client_options,
                 const H2ConnectionOptions& server_options)
      : client(loop, std::move(ends.first), client_options),
        server(loop, std::move(ends.second), server_options),
        scope(loop) {
    scope.Spawn(client.Run(client_stop.token()));
    scope.Spawn(server.Run(server_stop.token()));
  }
  // Ends both connections; their streams must have been destroyed.
  Task<void> End() {
    co_await client.Drain({});
    co_await server.Drain({});
    co_await scope.Join();
  }

  H2ClientConnection client;
  H2ServerConnection server;
  StopSource client_stop;
  StopSource server_stop;
  Scope scope;
};

inline std::string Text(const io::Buffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

// Reads to the orderly end. An error gives its text in brackets instead.
inline Task<std::string> ReadAll(io::Stream& stream) {
  std::string all;
  while (true) {
    auto read = co_await stream.Read(64 * 1024, {});
    if (!read) co_return "[" + read.error().ToString() + "]";
    if (read->empty()) co_return all;
    all += Text(*read);
  }
}

}  // namespace heddle::http
