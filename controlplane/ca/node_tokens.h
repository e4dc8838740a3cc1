#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::controlplane::ca {

// 32 random bytes, in hexadecimal.
inline constexpr size_t kNodeTokenDigits = 64;

// True for what a Node object may be called (RFC 1123 subdomain), which is always a good file name.
bool IsNodeName(std::string_view name);

// How nodes prove who they are where there is no Kubernetes to vouch for them: a file for each node,
//
//   <directory>/<node>   64 hexadecimal digits, 0600
//
// that an operator carries to the node. Whoever has a node's token can be that node, and so all
// pods that are bound to it. A token is revoked by removing its file and starting the controller
// again, which makes a new one. One thread's.
class NodeTokens {
 public:
  // Makes the directory (0700) or loads the tokens that are there. A file that is no token is left
  // alone and logged, and its node is refused: nothing replaces it silently. An error when the
  // directory itself cannot be used.
  static absl::StatusOr<NodeTokens> Open(const std::string& directory);

  // Makes a token for each of these nodes that has none. A node for which that fails is logged, and
  // tried again by the next call; false if there is such a node.
  bool Ensure(const std::set<std::string>& nodes);

  // Whose token this is. Takes equally long for every wrong token of the right length. Empty also
  // when two nodes were given the same one.
  std::optional<std::string> NodeOf(std::string_view token) const;
  size_t size() const { return tokens_.size(); }

 private:
  explicit NodeTokens(std::string directory) : directory_(std::move(directory)) {}
  absl::Status LoadAll();
  void Load(const std::string& node);

  std::string directory_;
  std::map<std::string, std::string> tokens_;  // By node.
  std::set<std::string> unusable_;             // Nodes whose file is no token.
};

}  // namespace heddle::controlplane::ca
