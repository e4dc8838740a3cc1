#include "controlplane/api/object_store.h"

namespace heddle::controlplane::api {
namespace {

template <size_t kIndex, typename Tables>
void EraseAt(Tables& tables, const ObjectKey& key) {
  if (static_cast<size_t>(key.kind) == kIndex) std::get<kIndex>(tables).erase(key.name);
}

template <typename Tables, size_t... kIndices>
void EraseIn(Tables& tables, const ObjectKey& key, std::index_sequence<kIndices...>) {
  (EraseAt<kIndices>(tables, key), ...);
}

}  // namespace

void ObjectStore::Apply(const StoreDiff& diff) {
  for (const ObjectKey& key : diff.removed) Erase(key);
  for (const Object& object : diff.upserted) Put(object);
}

void ObjectStore::Put(const Object& object) {
  std::visit(
      [this]<typename T>(const std::shared_ptr<const T>& value) {
        std::get<Table<T>>(tables_)[NameOf(value->meta)] = value;
      },
      object);
}

void ObjectStore::Erase(const ObjectKey& key) {
  EraseIn(tables_, key, std::make_index_sequence<std::tuple_size_v<decltype(tables_)>>());
}

size_t ObjectStore::size() const {
  return std::apply([](const auto&... table) { return (table.size() + ...); }, tables_);
}

}  // namespace heddle::controlplane::api
