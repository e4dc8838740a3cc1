#include "controlplane/removal_writer.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::controlplane {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
constexpr absl::Duration kPauseAfterFailure = absl::Seconds(5);

}  // namespace

RemovalWriter::RemovalWriter(io::Loop& loop, const Mesh& mesh, kube::ApiClient& client,
                             std::string own_namespace)
    : loop_(loop), mesh_(mesh), client_(client), own_namespace_(std::move(own_namespace)) {}

std::map<std::string, std::string> RemovalWriter::Changes() const {
  std::map<std::string, std::string> changes;
  const auto* request = mesh_.objects().Find<api::Removal>({own_namespace_, api::kRemovalName});
  if (request == nullptr) return changes;
  for (auto& [key, value] : mesh_.removal().Record()) {
    const auto there = request->data.find(key);
    if (there != request->data.end() && there->second == value) continue;
    changes.emplace(key, value);
  }
  return changes;
}

Task<absl::Status> RemovalWriter::Write(std::map<std::string, std::string> changes,
                                        StopToken stop) {
  // What agents say is bytes to us, which need not be UTF-8.
  const nlohmann::json patch = {{"data", changes}};
  kube::ApiRequest request{
      .method = "PATCH",
      .path =
          absl::StrCat("/api/v1/namespaces/", own_namespace_, "/configmaps/", api::kRemovalName),
      .body = patch.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
      .content_type = "application/merge-patch+json"};
  CO_TRY_ASSIGN(const kube::ApiAnswer answer, co_await client_.Call(request, stop));
  // Not found: it was taken back meanwhile.
  if (answer.status < 300 || answer.status == 404) co_return absl::OkStatus();
  co_return kube::StatusOf(request, answer);
}

Task<void> RemovalWriter::Run(StopToken stop) {
  absl::Duration pause = kInterval;
  while (co_await loop_.Sleep(pause, stop)) {
    pause = kInterval;
    std::map<std::string, std::string> changes = Changes();
    if (changes.empty()) continue;
    const absl::Status written = co_await Write(std::move(changes), stop);
    if (written.ok() || stop.requested()) continue;
    LOG_WARN("removal.write.failed", KV("error", written));
    pause = kPauseAfterFailure;
  }
}

}  // namespace heddle::controlplane
