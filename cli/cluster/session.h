#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/io/loop.h"
#include "lib/io/socket.h"
#include "lib/kube/api_client.h"
#include "lib/kube/cluster_access.h"

namespace heddle::cli {

// Which API server, as options say it.
struct AccessOptions {
  std::string
      kubeconfig;  // Empty: the first file of $KUBECONFIG, then ~/.kube/config, then the service account.
  std::string context;  // Empty: the kubeconfig's current one.
};
// NOT_FOUND with a sentence when nothing says where an API server is.
absl::StatusOr<kube::ClusterAccess> FindClusterAccess(const AccessOptions& options);

// No list is longer: a cluster has some hundred thousand pods at most.
inline constexpr size_t kMaxListedObjects = 500'000;

// A command's way to an API server: blocking calls, one after the other, on one connection. The
// statuses are sentences; those of kube::StatusOf keep their meaning (NOT_FOUND, PERMISSION_DENIED).
// Threads: one.
class ClusterSession {
 public:
  // Does not connect yet.
  explicit ClusterSession(kube::ClusterAccess access);
  ~ClusterSession();
  ClusterSession(const ClusterSession&) = delete;

  // Where it leads, for people.
  const std::string& origin() const { return origin_; }
  // Where this configuration's objects without a namespace go; may be empty.
  const std::string& name_space() const { return name_space_; }

  // Whatever the server answers is an answer.
  absl::StatusOr<kube::ApiAnswer> Call(const kube::ApiRequest& request);
  // The answer's body; an answer that is not a success is an error.
  absl::StatusOr<nlohmann::json> Send(const kube::ApiRequest& request);
  absl::StatusOr<nlohmann::json> Get(const std::string& path);
  // All objects of a collection, page by page. `path` may have a query.
  absl::StatusOr<std::vector<nlohmann::json>> List(const std::string& path);
  // Server-side apply of a whole object to its own path, with force. `query` is added ("dryRun=All").
  absl::StatusOr<nlohmann::json> Apply(const std::string& path, const nlohmann::json& object,
                                       const std::string& field_manager,
                                       const std::string& query = "");

  void Sleep(absl::Duration time);
  MonotonicTime Now() const { return loop_.Now(); }

 private:
  const std::string origin_;
  const std::string name_space_;
  SystemClock clock_;
  io::Loop loop_;
  io::KernelNetwork network_;
  kube::ApiClient client_;
};

}  // namespace heddle::cli
