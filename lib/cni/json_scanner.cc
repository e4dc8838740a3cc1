#include "lib/cni/json_scanner.h"

#include <cstdint>

namespace heddle::cni {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  // The range of the second byte excludes overlong forms, surrogates and what is above U+10FFFF (RFC 3629, section 4).
  uint8_t low = 0x80, high = 0xbf;
  size_t length = 0;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

void JsonScanner::Space() {
  while (!AtEnd() && (Peek() == ' ' || Peek() == '\t' || Peek() == '\n' || Peek() == '\r')) ++at_;
}

bool JsonScanner::Take(char expected) {
  Space();
  if (AtEnd() || text_[at_] != expected) return false;
  ++at_;
  return true;
}

bool JsonScanner::Word(std::string_view word) {
  if (!text_.substr(at_).starts_with(word)) return false;
  at_ += word.size();
  return true;
}

bool JsonScanner::Value(JsonValue& value, size_t depth) {
  if (depth >= kMaxJsonDepth) return false;
  Space();
  const size_t start = at_;
  bool valid = false;
  switch (Peek()) {
    case '{': value.kind = JsonKind::kObject, valid = Object(depth); break;
    case '[': value.kind = JsonKind::kArray, valid = Array(depth); break;
    case '"': value.kind = JsonKind::kString, valid = String(); break;
    case 't': value.kind = JsonKind::kBool, valid = Word("true"); break;
    case 'f': value.kind = JsonKind::kBool, valid = Word("false"); break;
    case 'n': value.kind = JsonKind::kNull, valid = Word("null"); break;
    default: value.kind = JsonKind::kNumber, valid = Number(); break;
  }
  value.raw = text_.substr(start, at_ - start);
  return valid;
}

bool JsonScanner::Object(size_t depth) {
  ++at_;
  if (Take('}')) return true;
  JsonValue member;
  do {
    Space();
    if (!String() || !Take(':') || !Value(member, depth + 1)) return false;
  } while (Take(','));
  return Take('}');
}

bool JsonScanner::Array(size_t depth) {
  ++at_;
  if (Take(']')) return true;
  JsonValue item;
  do {
    if (!Value(item, depth + 1)) return false;
  } while (Take(','));
  return Take(']');
}

bool JsonScanner::Digits() {
  if (!IsDigit(Peek())) return false;
  while (IsDigit(Peek())) ++at_;
  return true;
}

bool JsonScanner::Number() {
  if (Peek() == '-') ++at_;
  if (Peek() == '0') {
    ++at_;
  } else if (!Digits()) {
    return false;
  }
  if (Peek() == '.') {
    ++at_;
    if (!Digits()) return false;
  }
  if (Peek() != 'e' && Peek() != 'E') return true;
  ++at_;
  if (Peek() == '+' || Peek() == '-') ++at_;
  return Digits();
}

bool JsonScanner::Escape() {
  ++at_;
  const char kind = Peek();
  ++at_;
  if (kind != 'u') return std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos && kind != '\0';
  for (int i = 0; i < 4; ++i, ++at_) {
    if (!IsHex(Peek())) return false;
  }
  return true;
}

bool JsonScanner::Utf8() {
  const size_t length = Utf8Length(text_.substr(at_));
  at_ += length;
  return length != 0;
}

bool JsonScanner::String() {
  if (Peek() != '"') return false;
  ++at_;
  while (!AtEnd()) {
    const auto c = static_cast<uint8_t>(text_[at_]);
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c < 0x20) return false;
    if (c == '\\' ? !Escape() || at_ > text_.size() : !Utf8()) return false;
  }
  return false;
}

}  // namespace heddle::cni
