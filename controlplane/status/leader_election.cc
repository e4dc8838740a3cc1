#include "controlplane/status/leader_election.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/backoff.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/kube/write_request.h"

namespace heddle::controlplane::status {
namespace {

constexpr char kLeaseName[] = "heddle-controller";
constexpr char kFieldManager[] = "heddle-controller";
// On the way out.
constexpr absl::Duration kGiveUpTimeout = absl::Seconds(2);

}  // namespace

LeaderElection::LeaderElection(Parts parts)
    : parts_(std::move(parts)),
      election_(parts_.identity, parts_.times),
      leads_(parts_.registry, {.name = "heddle_controller_leads",
                               .help = "1 while this controller is the one that writes status."}),
      transitions_(parts_.registry,
                   {.name = "heddle_controller_leadership_changes",
                    .help = "Times that this controller began or ceased to lead."}) {}

std::string LeaderElection::Path() const {
  return absl::StrCat("/apis/coordination.k8s.io/v1/namespaces/", parts_.name_space, "/leases");
}

Task<void> LeaderElection::Run(StopToken stop) {
  while (!stop.requested()) {
    Deadline patience(parts_.loop, stop, kLeaderWriteTimeout);
    co_await Try(patience.token());
    if (!co_await parts_.loop.Sleep(Backoff::Jitter(parts_.times.retry, parts_.random), stop))
      break;
  }
  co_await GiveUp();
}

Task<void> LeaderElection::Try(StopToken stop) {
  absl::Status result;
  if (election_.must_read()) result = co_await Read(stop);
  if (result.ok()) {
    const Clock& clock = parts_.loop.clock();
    std::optional<Lease> bid = election_.Bid(parts_.loop.Now(), clock.Wall());
    if (bid.has_value()) result = co_await Write(*std::move(bid), stop);
  }
  Note(result);
}

Task<absl::Status> LeaderElection::Read(StopToken stop) {
  const kube::ApiRequest request{.path = absl::StrCat(Path(), "/", kLeaseName)};
  CO_TRY_ASSIGN(const kube::ApiAnswer answer, co_await parts_.client.Call(request, stop));
  if (answer.status == 404) {
    election_.Observe(std::nullopt, parts_.loop.Now());
    co_return absl::OkStatus();
  }
  if (answer.status != 200) co_return kube::StatusOf(request, answer);
  CO_TRY_ASSIGN(Lease lease, ParseLease(answer.body));
  election_.Observe(std::move(lease), parts_.loop.Now());
  co_return absl::OkStatus();
}

Task<absl::Status> LeaderElection::Write(Lease bid, StopToken stop) {
  const MonotonicTime began = parts_.loop.Now();
  std::string body = ToJson(bid, parts_.name_space, kLeaseName);
  kube::ApiRequest request = bid.resource_version.empty()
                                 ? kube::CreateRequest(Path(), std::move(body), kFieldManager)
                                 : kube::ReplaceRequest(absl::StrCat(Path(), "/", kLeaseName),
                                                        std::move(body), kFieldManager);
  // Whatever comes of it, what we knew of the Lease is no longer certain.
  election_.Refused();
  CO_TRY_ASSIGN(const kube::ApiAnswer answer, co_await parts_.client.Call(request, stop));
  // Another was faster, or it was deleted: the next look tells.
  if (answer.status == 409 || (answer.status == 404 && !bid.resource_version.empty()))
    co_return absl::OkStatus();
  if (answer.status / 100 != 2) co_return kube::StatusOf(request, answer);
  CO_TRY_ASSIGN(Lease written, ParseLease(answer.body));
  election_.Won(std::move(written), began);
  co_return absl::OkStatus();
}

Task<void> LeaderElection::GiveUp() {
  leads_.Set(0);
  if (!leads()) co_return;
  Deadline patience(parts_.loop, {}, kGiveUpTimeout);
  // The stop may have come in the middle of a renewal.
  absl::Status result;
  if (election_.must_read()) result = co_await Read(patience.token());
  std::optional<Lease> released = election_.Release(parts_.loop.Now(), parts_.loop.clock().Wall());
  if (!released.has_value()) co_return;
  result = co_await Write(*std::move(released), patience.token());
  LOG_INFO("leader.released", KV("result", result));
}

void LeaderElection::Note(const absl::Status& result) {
  const std::string trouble(result.message());
  if (std::exchange(trouble_, trouble) != trouble && !result.ok())
    LOG_WARN("leader.election.failed", KV("reason", result),
             KV("effect", "no status is written until somebody leads"));
  const bool now = leads();
  leads_.Set(now ? 1 : 0);
  if (std::exchange(led_, now) == now) return;
  transitions_.Add();
  LOG_INFO(now ? "leader.begins" : "leader.ceases", KV("identity", election_.identity()),
           KV("holder", election_.holder()));
  if (now && on_lead_) on_lead_();
}

}  // namespace heddle::controlplane::status
