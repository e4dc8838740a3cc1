#include "lib/kube/write_request.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/strings.h"

namespace heddle::kube {
namespace {

ApiRequest Write(const char* method, const std::string& path, std::string body,
                 const char* content_type, std::string_view field_manager) {
  return {.method = method,
          .path = absl::StrCat(path, "?fieldManager=", ToAbsl(field_manager)),
          .body = std::move(body),
          .content_type = content_type};
}

}  // namespace

ApiRequest ApplyRequest(std::string path, std::string body, std::string_view field_manager,
                        Conflicts conflicts) {
  // JSON is YAML, and this type is the only one before Kubernetes 1.34.
  ApiRequest request =
      Write("PATCH", path, std::move(body), "application/apply-patch+yaml", field_manager);
  if (conflicts == Conflicts::kForce) absl::StrAppend(&request.path, "&force=true");
  return request;
}

ApiRequest StrategicPatchRequest(std::string path, std::string body,
                                 std::string_view field_manager) {
  return Write("PATCH", path, std::move(body), "application/strategic-merge-patch+json",
               field_manager);
}

ApiRequest MergePatchRequest(std::string path, std::string body, std::string_view field_manager) {
  return Write("PATCH", path, std::move(body), "application/merge-patch+json", field_manager);
}

ApiRequest CreateRequest(std::string path, std::string body, std::string_view field_manager) {
  return Write("POST", path, std::move(body), "application/json", field_manager);
}

ApiRequest ReplaceRequest(std::string path, std::string body, std::string_view field_manager) {
  return Write("PUT", path, std::move(body), "application/json", field_manager);
}

ApiRequest DeleteRequest(std::string path) { return {.method = "DELETE", .path = std::move(path)}; }

}  // namespace heddle::kube
