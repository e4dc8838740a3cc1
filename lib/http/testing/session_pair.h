#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/base/testing/fake_clock.h"
#include "lib/http/h2_session.h"
#include "lib/http/testing/raw_frames.h"

namespace heddle::http {

inline const Headers kGet = {
    {":method", "GET"}, {":scheme", "http"}, {":authority", "a.example"}, {":path", "/"}};
inline const Headers kPost = {
    {":method", "POST"}, {":scheme", "http"}, {":authority", "a.example"}, {":path", "/"}};
inline const Headers kConnect = {{":method", "CONNECT"}, {":authority", "10.0.0.7:80"}};
inline const Headers kOk = {{":status", "200"}};

// All that a session has to send now.
inline std::string TakeOutput(H2Session& session) {
  std::string all;
  std::vector<uint8_t> space(64 * 1024);
  while (true) {
    space.resize(std::max(space.size(), session.output_min()));
    const size_t size = session.Output(space);
    if (size == 0) return all;
    all.append(reinterpret_cast<const char*>(space.data()), size);
  }
}

// A session and what it told, in order.
struct Endpoint {
  Endpoint(Role role, const H2Options& options, Clock& clock, ReceiveBudget* budget = nullptr)
      : session(role, options, clock, budget) {}

  void Feed(std::string_view bytes) {
    session.Receive(AsBytes(bytes));
    Take();
  }
  void Take() {
    while (auto event = session.NextEvent()) {
      if (event->type == H2Event::Type::kData) {
        data[event->stream].append(reinterpret_cast<const char*>(event->data.data()),
                                   event->data.size());
        if (consume) session.Consumed(event->stream, event->data.size());
      }
      event->data = {};  // Its bytes are about to go.
      events.push_back(*std::move(event));
    }
  }
  // How many events of this type have come; the last of them is `last`.
  size_t Count(H2Event::Type type) {
    size_t count = 0;
    for (const H2Event& event : events) {
      if (event.type != type) continue;
      ++count;
      last = &event;
    }
    return count;
  }

  H2Session session;
  std::vector<H2Event> events;
  std::map<StreamId, std::string> data;
  const H2Event* last = nullptr;
  bool consume = true;  // Consumes data as it comes.
};

// A client and a server joined in memory.
struct SessionPair {
  explicit SessionPair(const H2Options& client_options = {}, const H2Options& server_options = {})
      : client(Role::kClient, client_options, clock), server(Role::kServer, server_options, clock) {
    Pump();
  }

  // Carries bytes both ways, in pieces of `piece`, until nobody has anything to say.
  void Pump(size_t piece = SIZE_MAX) {
    while (true) {
      const std::string up = TakeOutput(client.session);
      client.Take();
      Carry(up, server, piece);
      const std::string down = TakeOutput(server.session);
      server.Take();
      Carry(down, client, piece);
      if (up.empty() && down.empty()) return;
    }
  }
  static void Carry(std::string_view bytes, Endpoint& to, size_t piece) {
    while (!bytes.empty()) {
      to.Feed(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
  }

  FakeClock clock;
  Endpoint client;
  Endpoint server;
};

}  // namespace heddle::http
