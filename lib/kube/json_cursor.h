#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace heddle::kube {

// Steps through the entries of a JSON object or array without building anything: an entry is a view
// into the text. It finds where values end and checks no more than that takes, so whoever reads a
// value parses it. That is how a list of 500 objects is taken apart in slices, and how an object is
// passed on as the text that the server sent.
//
//     JsonCursor members(object);
//     while (members.Next()) if (members.key() == "metadata") ...
//     if (members.malformed()) ...
//
// The text outlives the cursor. Nothing here recurses or allocates, except for a key with escapes.
class JsonCursor {
 public:
  // The text of one object or array; anything else is malformed.
  explicit JsonCursor(std::string_view text);

  // On to the next entry; false at the end and when the text is malformed.
  bool Next();
  // Of the current entry: an object's key (escapes resolved), and the value's text.
  const std::string& key() const { return key_; }
  std::string_view value() const { return value_; }
  bool malformed() const { return malformed_; }

 private:
  bool Fail();
  void Space();
  bool Take(char expected);
  bool Key();
  bool SkipValue();
  bool SkipString();
  bool SkipNested();
  void SkipWord();

  std::string_view text_;
  size_t at_ = 0;
  char close_ = '\0';
  bool first_ = true;
  bool done_ = false;
  bool malformed_ = false;
  std::string key_;
  std::string_view value_;
};

// The text of a JSON string with escapes resolved; nothing when `value` is not a string.
std::optional<std::string> JsonText(std::string_view value);
// The member's value, empty when there is none or the object is malformed before it.
std::string_view FindJsonMember(std::string_view object, std::string_view key);

}  // namespace heddle::kube
