#include "controlplane/api/object_store.h"

namespace heddle::controlplane::api {
namespace {

template <size_t kIndex, typename Tables>
void EraseAt(Tables& tables, const ObjectKey& key, std::optional<Object>& before) {
  if (static_cast<size_t>(key.kind) != kIndex) return;
  auto& table = std::get<kIndex>(tables);
  const auto found = table.find(key.name);
  if (found == table.end()) return;
  before = std::move(found->second);
  table.erase(found);
}

template <typename Tables, size_t... kIndices>
void EraseIn(Tables& tables, const ObjectKey& key, std::optional<Object>& before,
             std::index_sequence<kIndices...>) {
  (EraseAt<kIndices>(tables, key, before), ...);
}

}  // namespace

std::vector<ObjectChange> ObjectStore::Apply(const StoreDiff& diff) {
  std::vector<ObjectChange> changes;
  changes.reserve(diff.removed.size() + diff.upserted.size());
  for (const ObjectKey& key : diff.removed) {
    if (std::optional<Object> before = Erase(key)) changes.push_back({.before = std::move(before)});
  }
  for (const Object& object : diff.upserted)
    changes.push_back({.before = Put(object), .after = object});
  return changes;
}

std::optional<Object> ObjectStore::Put(const Object& object) {
  return std::visit(
      [this]<typename T>(const std::shared_ptr<const T>& value) -> std::optional<Object> {
        auto [at, added] = std::get<Table<T>>(tables_).try_emplace(NameOf(value->meta), value);
        if (added) return std::nullopt;
        return Object(std::exchange(at->second, value));
      },
      object);
}

std::optional<Object> ObjectStore::Erase(const ObjectKey& key) {
  std::optional<Object> before;
  EraseIn(tables_, key, before, std::make_index_sequence<std::tuple_size_v<decltype(tables_)>>());
  return before;
}

size_t ObjectStore::size() const {
  return std::apply([](const auto&... table) { return (table.size() + ...); }, tables_);
}

}  // namespace heddle::controlplane::api
