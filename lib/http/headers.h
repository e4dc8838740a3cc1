#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::http {

struct Header {
  std::string name;  // Lower case. Pseudo-headers begin with a colon.
  std::string value;
  bool operator==(const Header&) const = default;
};

// The fields of one header section, in order. Several may have the same name. A value.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  void Add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
  }
  // The value of the first field with this name, or null.
  const std::string* Find(std::string_view name) const;
  // The same, empty when there is none.
  std::string_view Get(std::string_view name) const;
  // How many fields have this name.
  size_t Count(std::string_view name) const;
  // The number in ":status"; 0 when there is none or it is not one of 100 to 999.
  int status() const;
  bool is_connect() const { return Get(":method") == "CONNECT"; }

  // What RFC 9113 section 6.5.2 counts against SETTINGS_MAX_HEADER_LIST_SIZE.
  size_t list_bytes() const;
  static constexpr size_t kFieldOverhead = 32;

  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  bool operator==(const Headers&) const = default;

 private:
  std::vector<Header> fields_;
};

}  // namespace heddle::http
