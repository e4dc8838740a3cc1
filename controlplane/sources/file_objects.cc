#include "controlplane/sources/file_objects.h"

#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace heddle::controlplane::sources {
namespace {

struct HashOfKey {
  size_t operator()(const KeyView& key) const { return key.Hash(); }
};

// A pointer to the item with the index in the file.
auto* At(auto& items, uint32_t index) {
  const auto found =
      std::ranges::lower_bound(items, index, {}, [](const auto& item) { return item.index; });
  return found == items.end() || found->index != index ? nullptr : &*found;
}

}  // namespace

KeyView::KeyView(const api::Object& object)
    : kind(static_cast<api::Kind>(object.index())),
      name_space(api::MetaOf(object).name_space),
      name(api::MetaOf(object).name) {}

size_t KeyView::Hash() const { return absl::HashOf(kind, ToAbsl(name_space), ToAbsl(name)); }

FileObjects::FileObjects(std::vector<api::Decoded> objects) {
  absl::flat_hash_set<KeyView, HashOfKey> keys;
  std::vector<bool> first(objects.size());
  const auto is_claim = [&](size_t i) {
    return first[i] && objects[i].object.has_value() && objects[i].reason.empty();
  };
  size_t claimed = 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    first[i] = objects[i].key.has_value() && keys.insert(KeyView(*objects[i].key)).second;
    claimed += is_claim(i);
  }
  claims.reserve(claimed);
  for (uint32_t i = 0; i < objects.size(); ++i) {
    if (is_claim(i)) {
      claims.push_back(
          {.object = *std::move(objects[i].object), .line = objects[i].line, .index = i});
    } else {
      suspects.push_back({.decoded = std::move(objects[i]), .index = i, .first = first[i]});
    }
  }
}

const FileObjects::Claim* FileObjects::ClaimAt(uint32_t index) const { return At(claims, index); }
FileObjects::Claim* FileObjects::ClaimAt(uint32_t index) { return At(claims, index); }
const FileObjects::Suspect* FileObjects::SuspectAt(uint32_t index) const {
  return At(suspects, index);
}

}  // namespace heddle::controlplane::sources
