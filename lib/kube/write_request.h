#pragma once

#include <string>
#include <string_view>

#include "lib/kube/api_client.h"

namespace heddle::kube {

// What happens to a field that another manager owns (kubernetes.io/docs/reference/using-api/server-side-apply).
enum class Conflicts : uint8_t {
  kRefuse,  // The answer is 409, and nothing is written.
  kForce,   // It is ours from now on.
};

// Server-side apply: makes the object, or gives the fields in `body` their values. `path` is the
// object's, or its subresource's.
ApiRequest ApplyRequest(std::string path, std::string body, std::string_view field_manager,
                        Conflicts conflicts);
// A patch that knows which lists have keys; for the built-in kinds.
ApiRequest StrategicPatchRequest(std::string path, std::string body,
                                 std::string_view field_manager);
// RFC 7396.
ApiRequest MergePatchRequest(std::string path, std::string body, std::string_view field_manager);
// POST of a whole object to its collection, PUT of one to its path. With a resourceVersion in its
// metadata a PUT is refused (409) when the object has changed since.
ApiRequest CreateRequest(std::string path, std::string body, std::string_view field_manager);
ApiRequest ReplaceRequest(std::string path, std::string body, std::string_view field_manager);
ApiRequest DeleteRequest(std::string path);

}  // namespace heddle::kube
