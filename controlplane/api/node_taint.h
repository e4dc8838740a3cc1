#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace heddle::controlplane::api {

// Nodes register with this taint (effect NoSchedule), by their platform's settings, so that no pod
// is faster than the CNI chain entry.
inline constexpr char kStartupTaint[] = "heddle.io/not-ready";

// The JSON patch that takes the taint off a node as the API server has it, and only if the node has
// not changed meanwhile. Nothing when there is no such taint, or the text is no node.
std::optional<std::string> PatchWithoutTaint(std::string_view node_json);

}  // namespace heddle::controlplane::api
