#include "lib/cni/json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "lib/cni/json_scanner.h"

namespace heddle::cni {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void AppendUtf8(std::string& out, uint32_t rune) {
  const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((rune >> shift) & 0x3f))); };
  if (rune < 0x80) {
    out.push_back(static_cast<char>(rune));
  } else if (rune < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (rune >> 6)));
    tail(0);
  } else if (rune < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (rune >> 12)));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | (rune >> 18)));
    tail(12), tail(6), tail(0);
  }
}

uint32_t HexUnit(std::string_view digits) {
  uint32_t unit = 0;
  std::from_chars(digits.data(), digits.data() + 4, unit, 16);
  return unit;
}

// Appends the \uXXXX at the start of `text`, with its second half if it is the first of a pair; returns its length.
size_t AppendUnicodeEscape(std::string& out, std::string_view text) {
  const uint32_t unit = HexUnit(text.substr(2));
  if (unit < 0xd800 || unit > 0xdfff) {
    AppendUtf8(out, unit);
    return 6;
  }
  if (unit < 0xdc00 && text.substr(6).starts_with("\\u")) {
    const uint32_t low = HexUnit(text.substr(8));
    if (low >= 0xdc00 && low <= 0xdfff) {
      AppendUtf8(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
      return 12;
    }
  }
  out += kReplacement;
  return 6;
}

// `body` is the inside of a valid string.
std::string Unescape(std::string_view body) {
  constexpr std::string_view kNames = "bfnrt\"\\/";
  constexpr std::string_view kCharacters = "\b\f\n\r\t\"\\/";
  std::string out;
  out.reserve(body.size());
  while (!body.empty()) {
    if (body[0] != '\\') {
      const size_t plain = std::min(body.find('\\'), body.size());
      out += body.substr(0, plain);
      body.remove_prefix(plain);
    } else if (body[1] == 'u') {
      body.remove_prefix(AppendUnicodeEscape(out, body));
    } else {
      out += kCharacters[kNames.find(body[1])];
      body.remove_prefix(2);
    }
  }
  return out;
}

}  // namespace

std::optional<JsonValue> ParseJson(std::string_view text) {
  if (text.size() > kMaxJsonBytes) return std::nullopt;
  JsonScanner scanner(text);
  JsonValue value;
  if (!scanner.Value(value)) return std::nullopt;
  scanner.Space();
  if (!scanner.AtEnd()) return std::nullopt;
  return value;
}

std::optional<std::vector<JsonMember>> JsonMembers(const JsonValue& value) {
  if (value.kind != JsonKind::kObject) return std::nullopt;
  JsonScanner scanner(value.raw);
  std::vector<JsonMember> members;
  if (!scanner.Take('{') || scanner.Take('}')) return members;
  do {
    scanner.Space();
    const size_t start = scanner.position();
    JsonValue member;
    if (members.size() == kMaxJsonMembers || !scanner.String()) return std::nullopt;
    const std::string_view quoted = value.raw.substr(start, scanner.position() - start);
    if (!scanner.Take(':') || !scanner.Value(member)) return std::nullopt;
    members.emplace_back(Unescape(quoted.substr(1, quoted.size() - 2)), member);
  } while (scanner.Take(','));

  // Two entries of one name: parsers disagree on which counts, so neither does.
  std::vector<std::string_view> names;
  for (const auto& [name, unused] : members) names.push_back(name);
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) return std::nullopt;
  return members;
}

std::optional<std::vector<JsonValue>> JsonItems(const JsonValue& value) {
  if (value.kind != JsonKind::kArray) return std::nullopt;
  JsonScanner scanner(value.raw);
  std::vector<JsonValue> items;
  if (!scanner.Take('[') || scanner.Take(']')) return items;
  do {
    JsonValue item;
    if (items.size() == kMaxJsonMembers || !scanner.Value(item)) return std::nullopt;
    items.push_back(item);
  } while (scanner.Take(','));
  return items;
}

std::optional<std::string> JsonString(const JsonValue& value) {
  if (value.kind != JsonKind::kString) return std::nullopt;
  return Unescape(value.raw.substr(1, value.raw.size() - 2));
}

std::optional<int> JsonInteger(const JsonValue& value) {
  if (value.kind != JsonKind::kNumber) return std::nullopt;
  int number = 0;
  const char* end = value.raw.data() + value.raw.size();
  const auto [stopped, error] = std::from_chars(value.raw.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

const JsonValue* FindMember(const std::vector<JsonMember>& members, std::string_view name) {
  const auto found = std::ranges::find(members, name, &JsonMember::first);
  return found == members.end() ? nullptr : &found->second;
}

std::string QuoteJson(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  while (!text.empty()) {
    const char c = text[0];
    const size_t length = Utf8Length(text);
    if (length == 0) {
      out += kReplacement;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 0xf];
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out += '"';
  return out;
}

}  // namespace heddle::cni
