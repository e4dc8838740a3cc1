#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// JSON by spans (RFC 8259): values are views into the text they were scanned from, so that a part of a document can be
// passed on byte for byte. Strict: no comments, no trailing commas, no duplicate keys in an object that is opened,
// UTF-8 checked. Nothing throws; memory is that of the members listed. For the plugin, which must stay small; programs
// that build documents use nlohmann-json.
namespace heddle::cni {

// Deeper documents are refused: the scanner recurses, and no CNI configuration nests more than a few levels.
inline constexpr size_t kMaxJsonDepth = 32;
// Refused when longer; a container runtime's stdin with a large GC list stays far below.
inline constexpr size_t kMaxJsonBytes = 1 << 20;
// Entries of one object or array that is opened.
inline constexpr size_t kMaxJsonMembers = 16384;

enum class JsonKind { kNull, kBool, kNumber, kString, kArray, kObject };

// One valid value: `raw` is its text without surrounding space, a view into the scanned document.
struct JsonValue {
  JsonKind kind = JsonKind::kNull;
  std::string_view raw;
};

using JsonMember = std::pair<std::string, JsonValue>;

// Checks the whole text, which must be one value with optional space around it.
std::optional<JsonValue> ParseJson(std::string_view text);

// The entries of a value from ParseJson, in order. Empty optional: it is of another kind, has too many entries, or (for
// objects) two entries of the same name.
std::optional<std::vector<JsonMember>> JsonMembers(const JsonValue& value);
std::optional<std::vector<JsonValue>> JsonItems(const JsonValue& value);

// The text of a string value with escapes resolved; a lone surrogate becomes U+FFFD, as in Go's decoder.
std::optional<std::string> JsonString(const JsonValue& value);
// The value of a number that is an integer in the range of int.
std::optional<int> JsonInteger(const JsonValue& value);

// The member called `name`, or null.
const JsonValue* FindMember(const std::vector<JsonMember>& members, std::string_view name);

// The text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string QuoteJson(std::string_view text);

}  // namespace heddle::cni
