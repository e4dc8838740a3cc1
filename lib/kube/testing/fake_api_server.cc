#include "lib/kube/testing/fake_api_server.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <utility>

namespace heddle::kube {
namespace {

using Json = nlohmann::json;

std::string KeyOf(const Json& object) {
  const Json& metadata = object.at("metadata");
  return metadata.value("namespace", "") + "/" + metadata.at("name").get<std::string>();
}

// Without kind and apiVersion, as in a typed list.
Json AsItem(const std::string& path, Json object) {
  const bool custom =
      path.find("istio.io") != std::string::npos || path.find("heddle.io") != std::string::npos;
  if (custom) return object;
  object.erase("kind");
  object.erase("apiVersion");
  return object;
}

// By name and by one label, which is what our clients select by.
bool Selects(const std::map<std::string, std::string>& query, const Json& object) {
  constexpr std::string_view kByName = "metadata.name%3d";
  if (const auto field = query.find("fieldSelector"); field != query.end()) {
    CHECK(field->second.starts_with(kByName));
    if (object.at("metadata").at("name") != field->second.substr(kByName.size())) return false;
  }
  const auto label = query.find("labelSelector");
  if (label == query.end()) return true;
  const std::string plain = absl::StrReplaceAll(label->second, {{"%2f", "/"}, {"%3d", "="}});
  const std::pair<std::string, std::string> wanted = absl::StrSplit(plain, absl::MaxSplits('=', 1));
  const Json& metadata = object.at("metadata");
  return metadata.contains("labels") &&
         metadata.at("labels").value(wanted.first, "") == wanted.second;
}

}  // namespace

Connector FakeApiServer::MakeConnector() {
  return [this](StopToken) { return Connect(); };
}

Task<absl::StatusOr<std::unique_ptr<io::Stream>>> FakeApiServer::Connect() {
  if (down) co_return absl::UnavailableError("refused");
  ++connections;
  io::Pipe pipe = io::MakePipe(loop_, {.read_max = 3000});
  scope_.Spawn(ServeConnection(std::move(pipe.second)));
  co_return std::move(pipe.first);
}

Task<void> FakeApiServer::ServeConnection(std::unique_ptr<io::Stream> transport) {
  const StopToken stop = stop_->token();
  http::H2ServerConnection connection(loop_, std::move(transport));
  Scope serving(loop_, stop);
  serving.Spawn(connection.Run(stop));
  while (auto stream = co_await connection.Accept(stop)) serving.Spawn(Serve(std::move(stream)));
  co_await serving.Drain();
}

Task<void> FakeApiServer::Serve(std::unique_ptr<http::H2Stream> stream) {
  const std::string target(stream->headers().Get(":path"));
  const std::string method(stream->headers().Get(":method"));
  requests.push_back(method == "GET" ? target : absl::StrCat(method, " ", target));
  const std::vector<std::string> parts = absl::StrSplit(target, absl::MaxSplits('?', 1));
  Query query;
  if (parts.size() == 2) {
    for (const auto& pair : absl::StrSplit(parts[1], '&')) {
      const std::pair<std::string, std::string> entry =
          absl::StrSplit(pair, absl::MaxSplits('=', 1));
      query.insert(entry);
    }
  }
  const std::string& path = parts[0];
  const std::string_view given = stream->headers().Get("authorization");
  if (fail_next > 0) {
    --fail_next;
    co_await AnswerStatus(*stream, 503, "ServiceUnavailable");
  } else if (!token.empty() && given != "Bearer " + token) {
    co_await AnswerStatus(*stream, 401, "Unauthorized");
  } else if (forbidden.contains(path)) {
    co_await AnswerStatus(*stream, 403, "Forbidden");
  } else if (method != "GET") {
    co_await Write(*stream, path);
  } else if (const Json* object = FindObject(path); object != nullptr) {
    co_await Answer(*stream, 200, object->dump());
  } else if (!collections_.contains(path)) {
    co_await Answer(*stream, 404, "404 page not found\n");
  } else if (query.contains("watch")) {
    ++watches_;
    co_await Watch(*stream, path, query);
    --watches_;
  } else {
    co_await List(*stream, path, query);
  }
}

Task<void> FakeApiServer::Answer(http::H2Stream& stream, int status, std::string body) {
  const http::Headers headers = {{":status", absl::StrCat(status)},
                                 {"content-type", "application/json"}};
  if (!stream.Respond(headers, false)) co_return;
  const std::span bytes(reinterpret_cast<const uint8_t*>(body.data()), body.size());
  const auto written = co_await stream.Write(bytes, stream.aborted());
  if (written) (void)co_await stream.ShutdownWrite(stream.aborted());
}

Task<void> FakeApiServer::AnswerStatus(http::H2Stream& stream, int code, std::string reason) {
  const Json status = {{"kind", "Status"},
                       {"code", code},
                       {"reason", reason},
                       {"message", "the fake server says so"}};
  co_await Answer(stream, code, status.dump());
}

// A list in pages is of one version: the token has the version and the last key.
Task<void> FakeApiServer::List(http::H2Stream& stream, const std::string& path,
                               const Query& query) {
  uint64_t version = version_;
  std::string after;
  if (query.contains("continue")) {
    const std::vector<std::string> token = absl::StrSplit(query.at("continue"), '.');
    CHECK(token.size() == 2 && absl::SimpleAtoi(token[0], &version));
    if (version < compacted_) co_return co_await AnswerStatus(stream, 410, "Expired");
    after = token[1];
  }
  size_t limit = SIZE_MAX;
  if (query.contains("limit")) CHECK(absl::SimpleAtoi(query.at("limit"), &limit));
  Json items = Json::array();
  std::string token;
  for (const auto& [key, object] : collections_.at(path)) {
    if (!Selects(query, object)) continue;
    // A key as it is would be escaped in a query.
    const std::string coded = absl::BytesToHexString(key);
    if (coded <= after) continue;
    if (items.size() == limit) {
      token = absl::StrCat(version, ".", after);
      break;
    }
    after = coded;
    items.push_back(AsItem(path, object));
  }
  const Json list = {
      {"kind", "List"},
      {"metadata", {{"resourceVersion", absl::StrCat(version)}, {"continue", token}}},
      {"items", items}};
  co_await Answer(stream, 200, list.dump());
}

Task<void> FakeApiServer::Watch(http::H2Stream& stream, const std::string& path,
                                const Query& query) {
  uint64_t version = 0;
  CHECK(absl::SimpleAtoi(query.at("resourceVersion"), &version));
  const bool expired = version < compacted_;
  if (expired && !expire_as_event) co_return co_await AnswerStatus(stream, 410, "Expired");
  if (!stream.Respond({{":status", "200"}, {"content-type", "application/json"}}, false)) co_return;
  if (expired) {
    const std::string line =
        R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
        "\n";
    const std::span bytes(reinterpret_cast<const uint8_t*>(line.data()), line.size());
    if (co_await stream.Write(bytes, stream.aborted()))
      (void)co_await stream.ShutdownWrite(stream.aborted());
    co_return;
  }
  const uint64_t generation = watch_generation_;
  uint64_t next = first_event_;
  while (generation == watch_generation_ && !stream.aborted().requested()) {
    next = std::max(next, first_event_);
    if (next == first_event_ + events_.size()) {
      (void)co_await changed_.Wait(stream.aborted());
      continue;
    }
    const Event event = events_[next++ - first_event_];
    if (event.path != path || event.version <= version) continue;
    if (!event.object.is_null() && !Selects(query, event.object)) continue;
    const std::span bytes(reinterpret_cast<const uint8_t*>(event.line.data()), event.line.size());
    if (!co_await stream.Write(bytes, stream.aborted())) co_return;
  }
  if (!stream.aborted().requested()) (void)co_await stream.ShutdownWrite(stream.aborted());
}

void FakeApiServer::Happened(const std::string& path, const char* type, const Json& object) {
  const Json event = {{"type", type}, {"object", object}};
  const bool bookmark = std::string_view(type) == "BOOKMARK";
  events_.push_back({version_, path, event.dump() + "\n", bookmark ? Json() : object});
  changed_.NotifyAll();
}

void FakeApiServer::Put(const std::string& path, Json object) {
  object["metadata"]["resourceVersion"] = absl::StrCat(++version_);
  Json& slot = collections_[path][KeyOf(object)];
  const char* type = slot.is_null() ? "ADDED" : "MODIFIED";
  slot = std::move(object);
  Happened(path, type, slot);
}

void FakeApiServer::Put(const std::string& path, const std::string& name_space,
                        const std::string& name) {
  Put(path, {{"metadata", {{"name", name}, {"namespace", name_space}}}});
}

void FakeApiServer::Delete(const std::string& path, const std::string& name_space,
                           const std::string& name) {
  Collection& collection = collections_.at(path);
  const auto found = collection.find(name_space + "/" + name);
  CHECK(found != collection.end());
  Json object = std::move(found->second);
  collection.erase(found);
  object["metadata"]["resourceVersion"] = absl::StrCat(++version_);
  Happened(path, "DELETED", object);
}

Json FakeApiServer::Get(const std::string& path, const std::string& name_space,
                        const std::string& name) const {
  const auto collection = collections_.find(path);
  if (collection == collections_.end()) return {};
  const auto found = collection->second.find(name_space + "/" + name);
  return found == collection->second.end() ? Json() : found->second;
}

void FakeApiServer::RemoveCollection(const std::string& path) {
  collections_.erase(path);
  EndWatches();
}

void FakeApiServer::Compact() {
  compacted_ = ++version_;
  first_event_ += events_.size();
  events_.clear();
}

void FakeApiServer::SendBookmarks() {
  ++version_;
  for (const auto& [path, collection] : collections_) {
    const Json object = {{"metadata", {{"resourceVersion", absl::StrCat(version_)}}}};
    Happened(path, "BOOKMARK", object);
  }
}

void FakeApiServer::SendLine(const std::string& path, const std::string& line) {
  events_.push_back({++version_, path, line + "\n", Json()});
  changed_.NotifyAll();
}

void FakeApiServer::EndWatches() {
  ++watch_generation_;
  changed_.NotifyAll();
}

void FakeApiServer::Disconnect() {
  stop_->RequestStop();
  old_stops_.push_back(std::exchange(stop_, std::make_unique<StopSource>()));
}

Task<void> FakeApiServer::End() {
  Disconnect();
  co_await scope_.Drain();
}

}  // namespace heddle::kube
