#include "controlplane/api/node_taint.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace heddle::controlplane::api {

using Json = nlohmann::json;

std::optional<std::string> PatchWithoutTaint(std::string_view node_json) {
  const Json node = Json::parse(node_json, nullptr, false);
  const Json::json_pointer version("/metadata/resourceVersion");
  const Json::json_pointer taints("/spec/taints");
  if (!node.is_object() || !node.contains(version) || !node.contains(taints)) return std::nullopt;
  if (!node[taints].is_array()) return std::nullopt;
  Json left = Json::array();
  for (const Json& taint : node[taints]) {
    const auto key = taint.is_object() ? taint.find("key") : taint.end();
    if (!taint.is_object() || key == taint.end() || *key != kStartupTaint) left.push_back(taint);
  }
  if (left.size() == node[taints].size()) return std::nullopt;
  const Json patch = {
      {{"op", "test"}, {"path", "/metadata/resourceVersion"}, {"value", node[version]}},
      {{"op", "replace"}, {"path", "/spec/taints"}, {"value", std::move(left)}}};
  return patch.dump();
}

}  // namespace heddle::controlplane::api
