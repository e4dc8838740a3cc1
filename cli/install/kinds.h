#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

// The kinds of objects that an install consists of.
namespace heddle::cli {

// What has to be there before what comes later.
enum class Stage : uint8_t { kDefinitions, kNamespace, kAccess, kSettings, kController, kAgents };

struct Kind {
  const char* api_version;  // As objects name it.
  const char* kind;
  const char*
      collection;  // Path of all of them: "/apis/apps/v1/" and the plural name, in between "namespaces/NS/".
  const char* plural;
  bool namespaced;
  Stage stage;
};

// All of them, in the order in which they are applied.
std::span<const Kind> InstalledKinds();
// The kind of an object; the error names one that is not in the table.
absl::StatusOr<const Kind*> KindOf(const nlohmann::json& object);

// "/apis/apps/v1/namespaces/heddle-system/deployments"; `name_space` is not looked at for kinds that have none.
std::string CollectionPath(const Kind& kind, const std::string& name_space);
// Where an object is.
absl::StatusOr<std::string> ObjectPath(const nlohmann::json& object);

}  // namespace heddle::cli
