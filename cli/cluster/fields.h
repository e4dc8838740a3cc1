#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Reading Kubernetes objects whose form nobody promised: what is missing or of another type reads as
// absent, and nothing throws.
namespace heddle::cli {

using Objects = std::vector<nlohmann::json>;

// The member at the end of the path; null when there is none. The object outlives it.
const nlohmann::json& Member(const nlohmann::json& object,
                             std::initializer_list<std::string_view> path);
// Empty when it is no text.
std::string Text(const nlohmann::json& object, std::initializer_list<std::string_view> path);
std::optional<int64_t> Integer(const nlohmann::json& object,
                               std::initializer_list<std::string_view> path);
bool IsTrue(const nlohmann::json& object, std::initializer_list<std::string_view> path);

// Of metadata.
std::string NameOf(const nlohmann::json& object);
std::string NamespaceOf(const nlohmann::json& object);
// "namespace/name", or the name of what has no namespace.
std::string FullName(const nlohmann::json& object);
// metadata.labels[key].
std::string Label(const nlohmann::json& object, std::string_view key);

// A label selector of apimachinery ({matchLabels, matchExpressions}) on an object's labels. An empty
// one selects everything, an operator that is not known nothing.
bool Selects(const nlohmann::json& selector, const nlohmann::json& object);

}  // namespace heddle::cli
