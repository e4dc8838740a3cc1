#include "lib/kube/object.h"

#include <nlohmann/json.hpp>

#include "lib/base/strings.h"
#include "lib/kube/json_cursor.h"

namespace heddle::kube {
namespace {

// An error's body is read no further.
constexpr size_t kMaxStatusBytes = size_t{64} * 1024;

// For log lines: what a server says is bytes.
std::string Quoted(std::string_view text) { return Printable(text, kMaxMessageBytes); }

struct Metadata {
  ObjectName name;
  std::string resource_version;
  std::string continue_token;
};

std::optional<Metadata> ReadMetadata(std::string_view json) {
  Metadata metadata;
  JsonCursor members(json);
  while (members.Next()) {
    std::string* field = nullptr;
    if (members.key() == "name") field = &metadata.name.name;
    if (members.key() == "namespace") field = &metadata.name.name_space;
    if (members.key() == "resourceVersion") field = &metadata.resource_version;
    if (members.key() == "continue") field = &metadata.continue_token;
    if (field == nullptr) continue;
    std::optional<std::string> text = JsonText(members.value());
    if (!text.has_value()) return std::nullopt;
    *field = *std::move(text);
  }
  if (members.malformed()) return std::nullopt;
  return metadata;
}

}  // namespace

std::optional<RawObject> ReadObject(std::string_view json) {
  const std::string_view text = FindJsonMember(json, "metadata");
  std::optional<Metadata> metadata = ReadMetadata(text);
  if (!metadata.has_value()) return std::nullopt;
  return RawObject{std::move(metadata->name), std::move(metadata->resource_version), json};
}

std::optional<ListPage> ReadListPage(std::string_view body) {
  ListPage page;
  bool listed = false;
  JsonCursor members(body);
  while (members.Next()) {
    if (members.key() == "metadata") {
      std::optional<Metadata> metadata = ReadMetadata(members.value());
      if (!metadata.has_value()) return std::nullopt;
      page.resource_version = std::move(metadata->resource_version);
      page.continue_token = std::move(metadata->continue_token);
      listed = !page.resource_version.empty();
    } else if (members.key() == "items") {
      page.items = members.value();
    }
  }
  // An empty list may be "items": null.
  if (page.items.empty() || page.items == "null") page.items = "[]";
  if (members.malformed() || !listed || page.items.front() != '[') return std::nullopt;
  return page;
}

ApiStatus ReadApiStatus(int http_status, std::string_view body) {
  ApiStatus status{.code = http_status};
  const nlohmann::json json =
      nlohmann::json::parse(body.substr(0, kMaxStatusBytes), nullptr, /*allow_exceptions=*/false);
  const auto text = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string()
               ? Quoted(found->get_ref<const std::string&>())
               : std::string();
  };
  if (!json.is_object() || text("kind") != "Status") {
    status.message = Quoted(body.substr(0, body.find('\n')));
    return status;
  }
  status.reason = text("reason");
  status.message = text("message");
  if (const auto code = json.find("code"); code != json.end() && code->is_number_unsigned()) {
    const auto number = code->get<uint64_t>();
    if (number >= 100 && number <= 999) status.code = static_cast<int>(number);
  }
  return status;
}

std::optional<WatchEvent> ReadWatchEvent(std::string_view line) {
  std::string type;
  std::string_view object;
  JsonCursor members(line);
  while (members.Next()) {
    if (members.key() == "type") type = JsonText(members.value()).value_or("");
    if (members.key() == "object") object = members.value();
  }
  if (members.malformed() || object.empty()) return std::nullopt;
  if (type == "ERROR") return WatchEvent{.error = ReadApiStatus(500, object)};
  std::optional<RawObject> raw = ReadObject(object);
  if (!raw.has_value() || raw->resource_version.empty()) return std::nullopt;
  WatchEvent event{.object = *std::move(raw)};
  if (type == "BOOKMARK") {
    event.type = WatchEvent::Type::kBookmark;
    return event;
  }
  if (event.object.name.name.empty()) return std::nullopt;
  if (type == "ADDED" || type == "MODIFIED") {
    event.type = WatchEvent::Type::kUpsert;
  } else if (type == "DELETED") {
    event.type = WatchEvent::Type::kDelete;
  } else {
    return std::nullopt;
  }
  return event;
}

}  // namespace heddle::kube
