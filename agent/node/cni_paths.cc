#include "agent/node/cni_paths.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace heddle::agent {
namespace {

struct Platform {
  std::string_view name;
  std::string_view conf_dir;
  std::string_view bin_dir;
};
constexpr Platform kPlatforms[] = {
    {"default", "/etc/cni/net.d", "/opt/cni/bin"},
    {"eks", "/etc/cni/net.d", "/opt/cni/bin"},
    {"gke", "/etc/cni/net.d", "/home/kubernetes/bin"},
    {"k3d", "/var/lib/rancher/k3s/agent/etc/cni/net.d", "/bin"},
    {"k3s", "/var/lib/rancher/k3s/agent/etc/cni/net.d", "/var/lib/rancher/k3s/data/cni"},
    {"microk8s", "/var/snap/microk8s/current/args/cni-network",
     "/var/snap/microk8s/current/opt/cni/bin"},
    {"minikube", "/etc/cni/net.d", "/opt/cni/bin"},
};

struct Refused {
  std::string_view name;
  std::string_view why;
};
constexpr Refused kRefused[] = {
    {"openshift",
     "OpenShift's networks are made by Multus, which takes a configuration of its own and a "
     "NetworkAttachmentDefinition in place of an entry in a chain; Heddle does not install itself "
     "there yet"},
    {"talos",
     "Talos has a read-only root and no fixed place for plugins; give --cni-conf-dir and "
     "--cni-bin-dir of its machine configuration in place of --cni-platform"},
    {"bottlerocket",
     "Bottlerocket has a read-only root and no fixed place for plugins; give --cni-conf-dir and "
     "--cni-bin-dir of its settings in place of --cni-platform"},
};

}  // namespace

absl::StatusOr<CniPaths> CniPathsOf(std::string_view platform) {
  const auto* known = std::ranges::find(kPlatforms, platform, &Platform::name);
  if (known != std::end(kPlatforms))
    return CniPaths{.conf_dir = std::string(known->conf_dir),
                    .bin_dir = std::string(known->bin_dir)};
  const auto* refused = std::ranges::find(kRefused, platform, &Refused::name);
  if (refused != std::end(kRefused)) return absl::UnimplementedError(std::string(refused->why));
  std::string names;
  for (const Platform& row : kPlatforms)
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(row.name));
  return absl::NotFoundError(
      absl::StrCat("no platform is called ", std::string(platform), "; known are ", names));
}

}  // namespace heddle::agent
