#pragma once

#include <compare>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/interned.h"

namespace heddle::controlplane::api {

// A text that stands in very many objects, such as the name of a node: equal ones are held once.
class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string text) : text_(std::move(text)) {}
  SharedText(const char* text) : text_(std::string(text)) {}

  bool empty() const { return text_->empty(); }
  const std::string& str() const { return *text_; }
  operator const std::string&() const { return *text_; }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.text_ == b.text_; }
  friend std::strong_ordering operator<=>(const SharedText& a, const SharedText& b) {
    return a == b ? std::strong_ordering::equal : a.str() <=> b.str();
  }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const SharedText& a, const Text& b) {
    return a.str() == std::string_view(b);
  }
  template <std::convertible_to<std::string_view> Text>
  friend std::strong_ordering operator<=>(const SharedText& a, const Text& b) {
    return std::string_view(a.str()) <=> std::string_view(b);
  }

 private:
  Interned<std::string> text_;
};

}  // namespace heddle::controlplane::api
