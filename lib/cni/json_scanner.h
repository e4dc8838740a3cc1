#pragma once

#include <cstddef>
#include <string_view>

#include "lib/cni/json.h"

// The grammar behind json.h: walks one text and finds where values end. Internal to lib/cni.
namespace heddle::cni {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  // Moves over one value, which must be valid; false leaves the position undefined.
  bool Value(JsonValue& value) { return Value(value, 0); }
  // Moves over a string with its quotes.
  bool String();
  // Moves over the character if it is next (spaces before it are skipped).
  bool Take(char expected);
  void Space();
  bool AtEnd() const { return at_ >= text_.size(); }
  size_t position() const { return at_; }

 private:
  bool Value(JsonValue& value, size_t depth);
  bool Object(size_t depth);
  bool Array(size_t depth);
  bool Number();
  bool Digits();
  bool Word(std::string_view word);
  bool Escape();
  bool Utf8();
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }

  std::string_view text_;
  size_t at_ = 0;
};

// Length of the well-formed UTF-8 sequence that `text` starts with (RFC 3629: no overlong forms, no surrogates); 0 if
// there is none.
size_t Utf8Length(std::string_view text);

}  // namespace heddle::cni
