#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/hash/hash.h>

#include <memory>
#include <mutex>
#include <utility>

namespace heddle {

// The values of one type that are held somewhere, each once. Thread-safe.
template <typename T>
class InternedValues {
 public:
  std::shared_ptr<const T> Share(T value) {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(&value);
    if (found != values_.end()) {
      if (auto shared = found->second.lock()) return shared;
      values_.erase(found);  // Its last holder has let go and comes to take it out.
    }
    std::shared_ptr<const T> shared(new T(std::move(value)), [this](const T* gone) { Release(gone); });
    values_.emplace(shared.get(), shared);
    return shared;
  }

 private:
  struct Hash {
    size_t operator()(const T* value) const { return absl::Hash<T>()(*value); }
  };
  struct Equal {
    bool operator()(const T* a, const T* b) const { return *a == *b; }
  };

  void Release(const T* gone) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = values_.find(gone);
      if (found != values_.end() && found->first == gone) values_.erase(found);
    }
    delete gone;
  }

  std::mutex mutex_;
  absl::flat_hash_map<const T*, std::weak_ptr<const T>, Hash, Equal> values_;
};

// A value that does not change, of which equal ones are held once in the process: for what repeats in very many
// objects, such as names of nodes and sets of labels. To make one is a look-up under a lock; to copy one or to compare
// two costs as much as a pointer. It goes with its last holder. Thread-safe as std::shared_ptr is. T compares,
// absl::Hash knows it, and T() is held by nobody.
template <typename T>
class Interned {
 public:
  Interned() = default;
  Interned(T value) : value_(value == T() ? nullptr : Values().Share(std::move(value))) {}

  const T& operator*() const { return value_ == nullptr ? None() : *value_; }
  const T* operator->() const { return &**this; }

  friend bool operator==(const Interned& a, const Interned& b) { return a.value_ == b.value_; }

 private:
  static InternedValues<T>& Values() {
    static auto& values = *new InternedValues<T>();  // Holders may go after everything static.
    return values;
  }
  static const T& None() {
    static const auto& none = *new T();
    return none;
  }

  std::shared_ptr<const T> value_;  // None: T().
};

}  // namespace heddle
