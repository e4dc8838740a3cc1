#pragma once

#include <atomic>
#include <compare>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/strings.h"

namespace heddle {

// A text that never changes, in the room of a pointer: copies share it. For what stands in very many objects: a copy
// costs a count, of an empty one nothing. Equal ones that were made apart are equal, but share nothing (SharedPool
// makes them share). Copies may be used and dropped on any thread; one object is, as a std::string, one thread's while
// it is assigned to.
class SharedString {
 public:
  SharedString() = default;
  explicit SharedString(std::string value)
      : held_(value.empty() ? nullptr : new Held{.value = std::move(value)}) {}
  explicit SharedString(std::string_view value) : SharedString(std::string(value)) {}
  template <size_t kSize>
  SharedString(const char (&literal)[kSize]) : SharedString(std::string(literal)) {}

  SharedString(const SharedString& other) noexcept : held_(other.held_) {
    if (held_ != nullptr) held_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  SharedString(SharedString&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  SharedString& operator=(SharedString other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~SharedString() {
    if (held_ != nullptr) Release();
  }

  // Lives as long as any of those that share it.
  const std::string& ToString() const { return held_ == nullptr ? Empty() : held_->value; }
  operator const std::string&() const { return ToString(); }
  operator std::string_view() const { return held_ == nullptr ? std::string_view() : std::string_view(held_->value); }
  bool empty() const { return held_ == nullptr; }
  // How many share it; 0 for an empty one. Where it is 1 it stays so until this one is copied.
  size_t holders() const {
    return held_ == nullptr ? 0 : held_->holders.load(std::memory_order_acquire);
  }

  friend bool operator==(const SharedString& a, const SharedString& b) {
    return a.held_ == b.held_ || std::string_view(a) == std::string_view(b);
  }
  template <typename Text>
    requires std::convertible_to<const Text&, std::string_view> &&
             (!std::same_as<Text, SharedString>)
  friend bool operator==(const SharedString& a, const Text& b) {
    return std::string_view(a) == std::string_view(b);
  }
  friend std::strong_ordering operator<=>(const SharedString& a, const SharedString& b) {
    return a.held_ == b.held_ ? std::strong_ordering::equal : std::string_view(a) <=> std::string_view(b);
  }
  template <typename H>
  friend H AbslHashValue(H state, const SharedString& text) {
    return H::combine(std::move(state), ToAbsl(std::string_view(text)));
  }

 private:
  struct Held {
    std::atomic<size_t> holders = 1;
    const std::string value;
  };

  static const std::string& Empty() {
    static const auto& empty = *new std::string();  // Holders may go after everything static.
    return empty;
  }
  void Release() {
    // Who holds the last one need not write the count.
    if (holders() == 1 || held_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete held_;
  }

  Held* held_ = nullptr;  // Never of an empty text.
};

}  // namespace heddle
