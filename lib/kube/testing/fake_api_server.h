#pragma once

#include <deque>
#include <functional>
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
  // The object of this collection as it is now; null when there is none.
  nlohmann::json Get(const std::string& path, const std::string& name_space,
                     const std::string& name) const;

  // Clients may write into collections as well: POST, PUT with a version, PATCH as a merge (an apply
  // makes what is not there), DELETE. What is posted to one of these paths is answered by a function
  // instead: reviews, which are not kept.
  std::map<std::string, std::function<nlohmann::json(const nlohmann::json& posted)>> reviews;

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

  bool down = false;                // Nobody can connect.
  bool expire_as_event = true;      // 410 of a watch: as an ERROR event, or as the answer.
  std::string token;                // Asked for, unless empty.
  std::set<std::string> forbidden;  // Collections that answer 403.
  int fail_next = 0;                // So many requests are answered 503.
  // "/api/v1/pods?limit=500", in order; those that write begin with their method: "POST /api/...".
  std::vector<std::string> requests;
  int connections = 0;  // Made so far.
  uint64_t version() const { return version_; }
  size_t open_watches() const { return watches_; }

 private:
  struct Event {
    uint64_t version = 0;
    std::string path;
    std::string line;
    nlohmann::json object;  // Null for what every watch is told.
  };
  using Query = std::map<std::string, std::string>;
  using Collection = std::map<std::string, nlohmann::json>;  // By "namespace/name".

  Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Connect();
  Task<void> ServeConnection(std::unique_ptr<io::Stream> transport);
  Task<void> Serve(std::unique_ptr<http::H2Stream> stream);
  Task<void> Answer(http::H2Stream& stream, int status, std::string body);
  Task<void> AnswerStatus(http::H2Stream& stream, int code, std::string reason);
  // In fake_api_writes.cc.
  Task<void> Write(http::H2Stream& stream, std::string path);
  Task<void> Post(http::H2Stream& stream, const std::string& path, nlohmann::json body);
  Task<void> Replace(http::H2Stream& stream, const std::string& path, nlohmann::json body);
  Task<void> Patch(http::H2Stream& stream, const std::string& path, const nlohmann::json& body);
  Task<void> Remove(http::H2Stream& stream, const std::string& path);
  nlohmann::json* FindObject(const std::string& path);
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
