#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace heddle {

// Values that are made again and again, so that equal ones share what they hold. T says by how many it is held
// (holders()), as SharedString does; a View, made of a T or of what a T would be made of, is hashed and compared. What
// nobody else holds is forgotten when as many have been added as were in use the last time: the pool has at most about
// twice as many as have been in use at once. One thread's; what comes from it is everybody's.
template <typename T, typename View>
class SharedPool {
 public:
  // nullptr if there is none. Until the next call.
  const T* Find(const View& view) const {
    const auto found = values_.find(view);
    return found == values_.end() ? nullptr : &*found;
  }

  // Until the next call.
  const T& Add(T value) {
    if (values_.size() >= sweep_at_) Sweep();
    return *values_.insert(std::move(value)).first;
  }

  size_t size() const { return values_.size(); }

 private:
  static constexpr size_t kSweptMin = 1024;

  struct Hash {
    using is_transparent = void;
    size_t operator()(const View& view) const { return absl::Hash<View>()(view); }
    size_t operator()(const T& value) const { return (*this)(View(value)); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const T& a, const T& b) const { return a == b; }
    bool operator()(const T& a, const View& b) const { return View(a) == b; }
  };

  void Sweep() {
    absl::erase_if(values_, [](const T& value) { return value.holders() <= 1; });
    sweep_at_ = std::max(kSweptMin, 2 * values_.size());
  }

  absl::flat_hash_set<T, Hash, Equal> values_;
  size_t sweep_at_ = kSweptMin;
};

}  // namespace heddle
