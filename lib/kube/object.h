#pragma once

#include <absl/container/flat_hash_map.h>

#include <compare>
#include <optional>
#include <string>
#include <string_view>

// What the API server sends, as far as every kind has it in common.
namespace heddle::kube {

// Which object of its kind.
struct ObjectName {
  std::string name_space;  // Empty for kinds without one.
  std::string name;
  auto operator<=>(const ObjectName&) const = default;
  std::string ToString() const { return name_space.empty() ? name : name_space + "/" + name; }
  template <typename H>
  friend H AbslHashValue(H h, const ObjectName& object) {
    return H::combine(std::move(h), object.name_space, object.name);
  }
};

// An object as it came: what identifies it, and its text, which is a view.
struct RawObject {
  ObjectName name;
  std::string resource_version;  // Opaque: compared for being the same, nothing else.
  std::string_view json;
};
// Nothing when the text is not an object with metadata. A name may be empty: a bookmark has none.
std::optional<RawObject> ReadObject(std::string_view json);

// One page of a list.
struct ListPage {
  std::string resource_version;  // Where a watch goes on.
  std::string continue_token;    // Empty: the last page.
  std::string_view items;        // The text of the array.
};
std::optional<ListPage> ReadListPage(std::string_view body);

// What the server says about a request that it did not do: a "Status" object, or what the HTTP
// status alone tells.
struct ApiStatus {
  int code = 0;         // As an HTTP status.
  std::string reason;   // "Expired", "NotFound"; may be empty.
  std::string message;  // For people; printable, at most kMaxMessageBytes.
};
inline constexpr size_t kMaxMessageBytes = 512;
ApiStatus ReadApiStatus(int http_status, std::string_view body);

struct WatchEvent {
  enum class Type { kUpsert, kDelete, kBookmark, kError };  // kUpsert: ADDED and MODIFIED.
  Type type = Type::kError;
  RawObject object;  // But for kError.
  ApiStatus error;   // For kError.
};
// One line of a watch. Nothing when it is not an event.
std::optional<WatchEvent> ReadWatchEvent(std::string_view line);

}  // namespace heddle::kube
