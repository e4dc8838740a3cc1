#include "cli/cluster/fields.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

const Json kNull;

bool Matches(const Json& expression, const Json& labels) {
  const std::string key = Text(expression, {"key"});
  const std::string op = Text(expression, {"operator"});
  const Json& value = Member(labels, {key});
  const Json& values = Member(expression, {"values"});
  const bool listed = values.is_array() && std::ranges::find(values, value) != values.end();
  if (op == "In") return value.is_string() && listed;
  if (op == "NotIn") return !value.is_string() || !listed;
  if (op == "Exists") return value.is_string();
  if (op == "DoesNotExist") return !value.is_string();
  return false;
}

}  // namespace

const Json& Member(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* at = &object;
  for (const std::string_view name : path) {
    if (!at->is_object()) return kNull;
    const auto found = at->find(name);
    if (found == at->end()) return kNull;
    at = &*found;
  }
  return *at;
}

std::string Text(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& member = Member(object, path);
  return member.is_string() ? member.get<std::string>() : "";
}

std::optional<int64_t> Integer(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& member = Member(object, path);
  return member.is_number_integer() ? std::optional(member.get<int64_t>()) : std::nullopt;
}

bool IsTrue(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& member = Member(object, path);
  return member.is_boolean() && member.get<bool>();
}

std::string NameOf(const Json& object) { return Text(object, {"metadata", "name"}); }
std::string NamespaceOf(const Json& object) { return Text(object, {"metadata", "namespace"}); }

std::string FullName(const Json& object) {
  const std::string name_space = NamespaceOf(object);
  return name_space.empty() ? NameOf(object) : absl::StrCat(name_space, "/", NameOf(object));
}

std::string Label(const Json& object, std::string_view key) {
  return Text(object, {"metadata", "labels", key});
}

bool Selects(const Json& selector, const Json& object) {
  const Json& labels = Member(object, {"metadata", "labels"});
  const Json& wanted = Member(selector, {"matchLabels"});
  if (wanted.is_object()) {
    for (const auto& [key, value] : wanted.items()) {
      if (Member(labels, {key}) != value) return false;
    }
  }
  const Json& expressions = Member(selector, {"matchExpressions"});
  return !expressions.is_array() || std::ranges::all_of(expressions, [&labels](const Json& each) {
    return Matches(each, labels);
  });
}

}  // namespace heddle::cli
