#pragma once

#include <google/protobuf/message_lite.h>

#include <string>
#include <string_view>
#include <vector>

namespace heddle::controlplane::translate {

inline constexpr std::string_view kAddressType = "type.googleapis.com/istio.workload.Address";
inline constexpr std::string_view kAuthorizationType =
    "type.googleapis.com/istio.security.Authorization";
inline constexpr std::string_view kNodePodType = "type.googleapis.com/heddle.node.v1.NodePod";

// One message of state, ready to be sent. A value.
struct Resource {
  std::string name;
  // Depends on the body alone, in every process alike, so that a subscriber that comes back, even
  // to another controller, is sent only what differs. 128 bits of FNV-1a in hexadecimal: it finds
  // changes, it does not protect against forgery.
  std::string version;
  std::string body;  // The serialized message.

  bool operator==(const Resource& other) const {
    return name == other.name && version == other.version;
  }
};

// Sorted by name, no name twice.
using ResourceSet = std::vector<Resource>;

// Serializes deterministically (maps in the order of keys).
Resource MakeResource(std::string name, const google::protobuf::MessageLite& message);
// Brings resources into the order of a ResourceSet. Of two with one name one stays, always the
// same.
void SortResources(ResourceSet& resources);

std::string ContentVersion(std::string_view body);

}  // namespace heddle::controlplane::translate
