#include "lib/kube/json_cursor.h"

#include <nlohmann/json.hpp>

namespace heddle::kube {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool EndsWord(char c) { return IsSpace(c) || c == ',' || c == ']' || c == '}'; }

}  // namespace

JsonCursor::JsonCursor(std::string_view text) : text_(text) {
  Space();
  if (Take('{')) {
    close_ = '}';
  } else if (Take('[')) {
    close_ = ']';
  } else {
    Fail();
  }
}

bool JsonCursor::Fail() {
  malformed_ = true;
  done_ = true;
  return false;
}

void JsonCursor::Space() {
  while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
}

bool JsonCursor::Take(char expected) {
  if (at_ >= text_.size() || text_[at_] != expected) return false;
  ++at_;
  return true;
}

bool JsonCursor::Next() {
  if (done_) return false;
  Space();
  if (Take(close_)) {
    done_ = true;
    return false;
  }
  if (!std::exchange(first_, false)) {
    if (!Take(',')) return Fail();
    Space();
  }
  if (close_ == '}' && !Key()) return Fail();
  const size_t begin = at_;
  if (!SkipValue()) return Fail();
  value_ = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonCursor::Key() {
  const size_t begin = at_;
  if (!SkipString()) return false;
  std::optional<std::string> key = JsonText(text_.substr(begin, at_ - begin));
  if (!key.has_value()) return false;
  key_ = *std::move(key);
  Space();
  if (!Take(':')) return false;
  Space();
  return true;
}

bool JsonCursor::SkipValue() {
  if (at_ >= text_.size()) return false;
  switch (text_[at_]) {
    case '"': return SkipString();
    case '{':
    case '[': return SkipNested();
    default: break;
  }
  const size_t begin = at_;
  SkipWord();
  return at_ > begin;
}

bool JsonCursor::SkipString() {
  if (!Take('"')) return false;
  while (at_ < text_.size()) {
    const size_t found = text_.find_first_of("\"\\", at_);
    if (found == std::string_view::npos) break;
    at_ = found + 1;
    if (text_[found] == '"') return true;
    ++at_;  // What is escaped.
  }
  at_ = text_.size();
  return false;
}

// Brackets are counted and not matched: whoever parses the value finds those that differ.
bool JsonCursor::SkipNested() {
  size_t depth = 0;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '"') {
      if (!SkipString()) return false;
      continue;
    }
    ++at_;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return true;
  }
  return false;
}

void JsonCursor::SkipWord() {
  while (at_ < text_.size() && !EndsWord(text_[at_])) ++at_;
}

std::optional<std::string> JsonText(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  const std::string_view inside = value.substr(1, value.size() - 2);
  if (inside.find_first_of("\"\\") == std::string_view::npos) return std::string(inside);
  const nlohmann::json parsed = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_string()) return std::nullopt;
  return parsed.get<std::string>();
}

std::string_view FindJsonMember(std::string_view object, std::string_view key) {
  JsonCursor members(object);
  while (members.Next()) {
    if (members.key() == key) return members.value();
  }
  return {};
}

}  // namespace heddle::kube
