#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace heddle::kube {

// Something small that is written out or stands in a file, which is read anew whenever it is needed:
// tokens, certificates and roots rotate.
struct Material {
  std::string data;
  std::string file;
  bool empty() const { return data.empty() && file.empty(); }
};

// Largest file that is read here: a bundle of roots has some hundred KiB.
inline constexpr size_t kMaxMaterialBytes = size_t{1024} * 1024;
// The content. `what` begins the sentence of an error: "the token". NOT_FOUND, or why else not.
absl::StatusOr<std::string> Load(const Material& material, std::string_view what);

// Where an API server is, how to know that it is the right one, and who we are. A value; holds
// secrets, so it is never printed.
struct ClusterAccess {
  std::string origin;  // For people: "the service account", "kubeconfig /etc/k.yaml (context a)".
  std::string host;    // An IP address (without brackets) or a DNS name.
  uint16_t port = 443;
  std::string path_prefix;  // In front of every path; empty or "/k8s/clusters/c1".
  // What the server's certificate must name: a DNS name or an IP address. Usually the host.
  std::string server_name;
  Material roots;               // PEM.
  Material client_certificate;  // PEM; both or none.
  Material client_key;
  Material token;
  std::string name_space;  // Ours, or the context's; may be empty.

  // "host:port", with brackets where they are needed.
  std::string Authority() const;
};

// What a pod finds inside itself: the service account's token and roots, and the API server's
// address in the environment.
struct InClusterPlaces {
  std::string directory = "/var/run/secrets/kubernetes.io/serviceaccount";
  // KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; null when they are not set.
  const char* host = nullptr;
  const char* port = nullptr;
  static InClusterPlaces FromEnvironment();
};
absl::StatusOr<ClusterAccess> InClusterAccess(const InClusterPlaces& places);

// Reads a kubeconfig, as kubectl does, as far as it says where and who: certificate-authority,
// client-certificate, client-key and token, by file or inline; tls-server-name. Refused, because
// following them would mean to run programs, to trust anybody, or to guess: exec and auth-provider
// plugins, passwords, insecure-skip-tls-verify, proxy-url, impersonation, plain HTTP. `context`
// empty means current-context. Every error is a sentence that names the place.
absl::StatusOr<ClusterAccess> ReadKubeConfig(const std::string& path,
                                             std::string_view context = "");
// The same from its text. File names in it are relative to `directory`.
absl::StatusOr<ClusterAccess> ParseKubeConfig(std::string_view text, const std::string& directory,
                                              std::string_view context = "");

}  // namespace heddle::kube
