#include "lib/kube/cluster_access.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <cstdlib>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/io/address.h"

namespace heddle::kube {

absl::StatusOr<std::string> Load(const Material& material, std::string_view what) {
  if (material.file.empty()) return material.data;
  absl::StatusOr<std::string> text = ReadFile(material.file, kMaxMaterialBytes);
  if (!text.ok()) return Annotate(text.status(), ToAbsl(what));
  return text;
}

std::string ClusterAccess::Authority() const {
  const bool brackets = host.find(':') != std::string::npos;
  return absl::StrCat(brackets ? "[" : "", host, brackets ? "]" : "", ":", port);
}

InClusterPlaces InClusterPlaces::FromEnvironment() {
  return {.host = std::getenv("KUBERNETES_SERVICE_HOST"),
          .port = std::getenv("KUBERNETES_SERVICE_PORT")};
}

absl::StatusOr<ClusterAccess> InClusterAccess(const InClusterPlaces& places) {
  if (places.host == nullptr || places.port == nullptr) {
    return absl::FailedPreconditionError(
        "not inside a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; "
        "outside, name a kubeconfig");
  }
  ClusterAccess access{.origin = "the pod's service account",
                       .host = places.host,
                       .server_name = places.host,
                       .roots = {.file = places.directory + "/ca.crt"},
                       .token = {.file = places.directory + "/token"}};
  uint32_t port = 0;
  if (!absl::SimpleAtoi(places.port, &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("KUBERNETES_SERVICE_PORT: '", places.port, "' is not a port"));
  }
  access.port = static_cast<uint16_t>(port);
  TRY_STATUS(Load(access.roots, "the service account's roots").status());
  TRY_STATUS(Load(access.token, "the service account's token").status());
  const auto name_space = Load({.file = places.directory + "/namespace"}, "the namespace");
  if (name_space.ok()) access.name_space = *name_space;
  return access;
}

}  // namespace heddle::kube
