#pragma once

#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/scope.h"
#include "lib/http/h2_connection.h"
#include "lib/io/testing/pipe.h"
#include "lib/kube/api_client.h"

namespace heddle::kube {

// An API server in memory that keeps Kubernetes' promises about lists, versions and watches, and
// breaks them when told to. Speaks HTTP/2 over pipes on one loop. End() before it is destroyed.
class FakeApiServer {
 public:
  explicit FakeApiServer(io::Loop& loop) : loop_(loop), changed_(loop), scope_(loop) {}

  // Connects to this server; fails while `down`. Outlived by the server.
  Connector MakeConnector();

  // What there is. A collection that is not there answers 404.
  void AddCollection(const std::string& path) { collections_[path]; }
  void RemoveCollection(const std::string& path);
  // An object as JSON; its resourceVersion is the server's. Built-in kinds are listed without their
  // kind and apiVersion, as by a real server.
  void Put(const std::string& path, nlohmann::json object);
  // With this name and namespace and nothing else.
  void Put(const std::string& path, const std::string& name_space, const std::string& name);
  void Delete(const std::string& path, const std::string& name_space, const std::string& name);

  // What happened so far is forgotten: watches and continue tokens from before are 410.
  void Compact();
  // Watches that are open learn of a new version, without an object.
  void SendBookmarks();
  // A line for all open watches of a collection.
  void SendLine(const std::string& path, const std::string& line);
  // The orderly end of all open watches.
  void EndWatches();
  // All connections break.
  void Disconnect();
  Task<void> End();

  bool down = false;                  // Nobody can connect.
  bool expire_as_event = true;        // 410 of a watch: as an ERROR event, or as the answer.
  std::string token;                  // Asked for, unless empty.
  std::set<std::string> forbidden;    // Collections that answer 403.
  int fail_next = 0;                  // So many requests are answered 503.
  std::vector<std::string> requests;  // "/api/v1/pods?limit=500", in order.
  int connections = 0;                // Made so far.
  uint64_t version() const { return version_; }
  size_t open_watches() const { return watches_; }

 private:
  struct Event {
    uint64_t version = 0;
    std::string path;
    std::string line;
  };
  using Query = std::map<std::string, std::string>;
  using Collection = std::map<std::string, nlohmann::json>;  // By "namespace/name".

  Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Connect();
  Task<void> ServeConnection(std::unique_ptr<io::Stream> transport);
  Task<void> Serve(std::unique_ptr<http::H2Stream> stream);
  Task<void> Answer(http::H2Stream& stream, int status, std::string body);
  Task<void> AnswerStatus(http::H2Stream& stream, int code, std::string reason);
  Task<void> List(http::H2Stream& stream, const std::string& path, const Query& query);
  Task<void> Watch(http::H2Stream& stream, const std::string& path, const Query& query);
  void Happened(const std::string& path, const char* type, const nlohmann::json& object);

  io::Loop& loop_;
  std::map<std::string, Collection> collections_;
  std::deque<Event> events_;
  uint64_t first_event_ = 0;  // Number of events_.front().
  uint64_t version_ = 100;
  uint64_t compacted_ = 0;
  uint64_t watch_generation_ = 0;
  size_t watches_ = 0;
  std::vector<std::unique_ptr<StopSource>> old_stops_;
  std::unique_ptr<StopSource> stop_ = std::make_unique<StopSource>();
  WaitQueue changed_;
  Scope scope_;
};

}  // namespace heddle::kube
