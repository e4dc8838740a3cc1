#include "lib/http/headers.h"

#include <algorithm>

namespace heddle::http {

const std::string* Headers::Find(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Header& field) { return field.name == name; });
  return found == fields_.end() ? nullptr : &found->value;
}

std::string_view Headers::Get(std::string_view name) const {
  const std::string* value = Find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

size_t Headers::Count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(
      fields_.begin(), fields_.end(), [&](const Header& field) { return field.name == name; }));
}

int Headers::status() const {
  const std::string_view text = Get(":status");
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 3 || text[0] == '0' || !std::all_of(text.begin(), text.end(), digit)) return 0;
  return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
}

size_t Headers::list_bytes() const {
  size_t bytes = 0;
  for (const Header& field : fields_)
    bytes += field.name.size() + field.value.size() + kFieldOverhead;
  return bytes;
}

}  // namespace heddle::http
