#include "cli/cluster/session.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/kube/connector.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr int kPageObjects = 500;

// A coroutine is given its own copy of what it reads, and a place for what it finds.
Task<void> CallInto(kube::ApiClient& client, kube::ApiRequest request,
                    absl::StatusOr<kube::ApiAnswer>& out) {
  out = co_await client.Call(std::move(request), {});
}

Task<void> SleepFor(io::Loop& loop, absl::Duration time) { (void)co_await loop.Sleep(time, {}); }

bool IsFile(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<kube::ClusterAccess> FindClusterAccess(const AccessOptions& options) {
  if (!options.kubeconfig.empty()) return kube::ReadKubeConfig(options.kubeconfig, options.context);
  const std::vector<std::string> files = absl::StrSplit(Environment("KUBECONFIG"), ':');
  if (!files.front().empty()) return kube::ReadKubeConfig(files.front(), options.context);
  if (const std::string home = Environment("HOME"); !home.empty()) {
    const std::string file = absl::StrCat(home, "/.kube/config");
    if (IsFile(file)) return kube::ReadKubeConfig(file, options.context);
  }
  const kube::InClusterPlaces inside = kube::InClusterPlaces::FromEnvironment();
  if (inside.host != nullptr) return kube::InClusterAccess(inside);
  return absl::NotFoundError(
      "nothing says where the API server is: give --kubeconfig, set KUBECONFIG, or run it in a "
      "pod");
}

ClusterSession::ClusterSession(kube::ClusterAccess access)
    : origin_(access.origin),
      name_space_(access.name_space),
      loop_(clock_, io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      client_(loop_, kube::MakeConnector(loop_, network_, clock_, access),
              kube::BearerToken(access.token),
              kube::ClientOptions(access, absl::StrCat("heddlectl/", kVersion))) {}

ClusterSession::~ClusterSession() { loop_.RunUntilDone(client_.Shutdown()); }

absl::StatusOr<kube::ApiAnswer> ClusterSession::Call(const kube::ApiRequest& request) {
  absl::StatusOr<kube::ApiAnswer> answer = absl::InternalError("no answer");
  loop_.RunUntilDone(CallInto(client_, request, answer));
  return answer;
}

absl::StatusOr<Json> ClusterSession::Send(const kube::ApiRequest& request) {
  TRY_ASSIGN(const kube::ApiAnswer answer, Call(request));
  constexpr int kFirstFailure = 300;
  if (answer.status >= kFirstFailure) return kube::StatusOf(request, answer);
  Json body = Json::parse(answer.body, nullptr, false);
  if (body.is_discarded()) {
    return absl::InternalError(absl::StrCat("the API server's answer to ", request.method, " ",
                                            request.path, " is not JSON"));
  }
  return body;
}

absl::StatusOr<Json> ClusterSession::Get(const std::string& path) { return Send({.path = path}); }

absl::StatusOr<std::vector<Json>> ClusterSession::List(const std::string& path) {
  std::vector<Json> objects;
  std::string next;
  const char* join = path.find('?') == std::string::npos ? "?" : "&";
  do {
    std::string page_path = absl::StrCat(path, join, "limit=", kPageObjects);
    if (!next.empty()) absl::StrAppend(&page_path, "&continue=", next);
    TRY_ASSIGN(Json page, Get(page_path));
    const auto items = page.find("items");
    if (items == page.end() || !items->is_array())
      return absl::InternalError(absl::StrCat("the API server's answer to ", path, " is no list"));
    for (Json& item : *items) objects.push_back(std::move(item));
    if (objects.size() > kMaxListedObjects) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " has more than ", kMaxListedObjects, " objects"));
    }
    const Json::json_pointer pointer("/metadata/continue");
    next =
        page.contains(pointer) && page[pointer].is_string() ? page[pointer].get<std::string>() : "";
  } while (!next.empty());
  return objects;
}

absl::StatusOr<Json> ClusterSession::Apply(const std::string& path, const Json& object,
                                           const std::string& field_manager,
                                           const std::string& query) {
  return Send({.method = "PATCH",
               .path = absl::StrCat(path, "?force=true&fieldManager=", field_manager,
                                    query.empty() ? "" : "&", query),
               .body = object.dump(),
               .content_type = "application/apply-patch+yaml"});
}

void ClusterSession::Sleep(absl::Duration time) { loop_.RunUntilDone(SleepFor(loop_, time)); }

}  // namespace heddle::cli
