// A kubeconfig: whatever it says, it is read or refused with a sentence.

#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"
#include "lib/kube/cluster_access.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto access = heddle::kube::ParseKubeConfig(text, "/etc");
  if (!access.ok()) {
    CHECK(!access.status().message().empty());
    return 0;
  }
  CHECK(!access->host.empty() && access->port != 0 && !access->server_name.empty());
  CHECK(!access->roots.empty());
  CHECK(!access->token.empty() || !access->client_key.empty());
  CHECK(access->path_prefix.empty() || access->path_prefix.starts_with('/'));
  CHECK(!access->Authority().empty());
  return 0;
}
