#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace heddle::cli {

// What an install says in place of the chart's defaults, by the names of the chart's values.
struct Settings {
  std::string name_space = "heddle-system";
  std::map<std::string, std::string> values;  // "image.registry" -> "registry.example/mesh".
};

// "image.registry=registry.example/mesh" into `settings`; the error names what can be set, or what a
// value has to look like.
absl::Status AddSetting(const std::string& text, Settings& settings);
// One line for each: its name and its default.
std::string DescribeSettings();

// The objects of a manifest (deploy/manifest/heddle.json) with the settings put in, Heddle's
// namespace added, all labelled as this program's, in the order of InstalledKinds().
absl::StatusOr<std::vector<nlohmann::json>> MakeObjects(const nlohmann::json& manifest,
                                                        const Settings& settings);

// Of every object that this program applies: which are ours, and who made them.
inline constexpr char kPartOfLabel[] = "app.kubernetes.io/part-of";
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kVersionLabel[] = "app.kubernetes.io/version";
inline constexpr char kHeddle[] = "heddle";
inline constexpr char kFieldManager[] = "heddlectl";
// Annotation of what stays when the rest goes: kinds, and with them policies; the namespace.
inline constexpr char kKeepAnnotation[] = "helm.sh/resource-policy";
bool IsKept(const nlohmann::json& object);

// The ConfigMap that asks the mesh to leave (decision 014). While it is there agents let go, those of
// a new install as well.
inline constexpr char kRemovalName[] = "heddle-removal";
// Where the API server has it.
std::string RemovalPath(const std::string& name_space);

}  // namespace heddle::cli
