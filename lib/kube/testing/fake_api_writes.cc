// What clients write to the API server in memory.

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/strings.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::kube {
namespace {

using Json = nlohmann::json;

struct ObjectPath {
  std::string collection;
  std::string name;
};

// "/api/v1/namespaces/x/secrets/a" and "/api/v1/namespaces/x/pods/a/status" are objects.
ObjectPath Split(std::string path) {
  if (path.ends_with("/status")) path.resize(path.size() - std::string_view("/status").size());
  const size_t slash = path.rfind('/');
  return {.collection = path.substr(0, slash), .name = path.substr(slash + 1)};
}

// Of "/api/v1/namespaces/x/secrets": x.
std::string NamespaceIn(const std::string& collection) {
  constexpr std::string_view kSegment = "/namespaces/";
  const size_t at = collection.find(kSegment);
  if (at == std::string::npos) return "";
  const size_t begin = at + kSegment.size();
  return collection.substr(begin, collection.find('/', begin) - begin);
}

Task<std::string> ReadBody(http::H2Stream& stream) {
  std::string body;
  while (true) {
    auto read = co_await stream.Read(4096, stream.aborted());
    if (!read || read->empty()) co_return body;
    body.append(reinterpret_cast<const char*>(read->data()), read->size());
  }
}

}  // namespace

Json* FakeApiServer::FindObject(const std::string& path) {
  const ObjectPath object = Split(path);
  const auto collection = collections_.find(object.collection);
  if (collection == collections_.end()) return nullptr;
  const auto found = collection->second.find(NamespaceIn(object.collection) + "/" + object.name);
  return found == collection->second.end() ? nullptr : &found->second;
}

Task<void> FakeApiServer::Write(http::H2Stream& stream, std::string path) {
  const std::string method(stream.headers().Get(":method"));
  const std::string text = co_await ReadBody(stream);
  if (method == "DELETE") co_return co_await Remove(stream, path);
  Json body = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) co_return co_await AnswerStatus(stream, 400, "BadRequest");
  if (method == "POST") {
    co_await Post(stream, path, std::move(body));
  } else if (method == "PUT") {
    co_await Replace(stream, path, std::move(body));
  } else {
    co_await Patch(stream, path, body);
  }
}

Task<void> FakeApiServer::Post(http::H2Stream& stream, const std::string& path, Json body) {
  if (const auto review = reviews.find(path); review != reviews.end()) {
    const std::string answer = review->second(body).dump();
    co_return co_await Answer(stream, 201, answer);
  }
  if (!collections_.contains(path)) co_return co_await AnswerStatus(stream, 404, "NotFound");
  const std::string name = body.at("metadata").at("name").get<std::string>();
  const std::string object_path = absl::StrCat(path, "/", name);
  if (FindObject(object_path) != nullptr)
    co_return co_await AnswerStatus(stream, 409, "AlreadyExists");
  if (const std::string name_space = NamespaceIn(path); !name_space.empty())
    body["metadata"]["namespace"] = name_space;
  Put(path, std::move(body));
  const std::string answer = FindObject(object_path)->dump();
  co_await Answer(stream, 201, answer);
}

Task<void> FakeApiServer::Replace(http::H2Stream& stream, const std::string& path, Json body) {
  const Json* object = FindObject(path);
  if (object == nullptr) co_return co_await AnswerStatus(stream, 404, "NotFound");
  const Json& metadata = body.at("metadata");
  if (metadata.contains("resourceVersion") &&
      metadata.at("resourceVersion") != object->at("metadata").at("resourceVersion"))
    co_return co_await AnswerStatus(stream, 409, "Conflict");
  Put(Split(path).collection, std::move(body));
  const std::string answer = FindObject(path)->dump();
  co_await Answer(stream, 200, answer);
}

Task<void> FakeApiServer::Patch(http::H2Stream& stream, const std::string& path, const Json& body) {
  // What has no status is not made by an apply of one.
  const bool apply =
      absl::StartsWith(ToAbsl(stream.headers().Get("content-type")), "application/apply-patch") &&
      !path.ends_with("/status");
  const ObjectPath where = Split(path);
  const Json* object = FindObject(path);
  if (object == nullptr && (!apply || !collections_.contains(where.collection)))
    co_return co_await AnswerStatus(stream, 404, "NotFound");
  Json merged = object == nullptr ? Json::object() : *object;
  merged.merge_patch(body);
  if (const std::string name_space = NamespaceIn(path); !name_space.empty())
    merged["metadata"]["namespace"] = name_space;
  // As a real server: what changes nothing is no new version.
  if (object == nullptr || merged != *object) Put(where.collection, std::move(merged));
  const std::string answer = FindObject(path)->dump();
  co_await Answer(stream, 200, answer);
}

Task<void> FakeApiServer::Remove(http::H2Stream& stream, const std::string& path) {
  if (FindObject(path) == nullptr) co_return co_await AnswerStatus(stream, 404, "NotFound");
  const ObjectPath where = Split(path);
  Delete(where.collection, NamespaceIn(where.collection), where.name);
  co_await Answer(stream, 200, R"({"kind":"Status","status":"Success"})");
}

}  // namespace heddle::kube
