#include "controlplane/status/status_writer.h"

#include <algorithm>
#include <utility>

#include "controlplane/status/leader_election.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"

namespace heddle::controlplane::status {
namespace {

constexpr char kPods[] = "/api/v1/pods";
// As many as an API server serves anybody without shaping its requests.
constexpr double kPerSecond = 10;
constexpr double kBurst = 50;
// After a refusal: doubled each time. A conflict is not looked at again before the longest.
constexpr absl::Duration kRetryMin = absl::Seconds(1);
constexpr absl::Duration kRetryMax = absl::Minutes(10);
constexpr int kMaxDoublings = 10;
// A number of workloads changes whenever pods come and go; nobody needs each of them.
constexpr absl::Duration kCountInterval = absl::Seconds(10);
// How often objects that wait after a refusal are looked for.
constexpr absl::Duration kRevisitInterval = absl::Seconds(1);

// But for the number of workloads.
bool SaySameInSubstance(std::vector<Condition> a, std::vector<Condition> b) {
  const auto is_count = [](const Condition& condition) { return condition.type == kBound; };
  std::erase_if(a, is_count);
  std::erase_if(b, is_count);
  return SaySame(a, b);
}

metrics::Description Described(const char* result) {
  return {.name = "heddle_controller_status_writes",
          .help = "Writes of what became of policies and pods into their status.",
          .labels = {{"result", result}}};
}

}  // namespace

StatusWriter::StatusWriter(Parts parts)
    : parts_(std::move(parts)),
      queued_(parts_.loop),
      limit_(kPerSecond, kBurst),
      written_(parts_.registry, Described("written")),
      conflicts_(parts_.registry, Described("conflict")),
      failed_(parts_.registry, Described("failed")),
      waiting_(parts_.registry, {.name = "heddle_controller_status_waiting",
                                 .help = "Objects whose status waits to be written."}) {}

void StatusWriter::SetPresent(const api::ObjectKey& key, PresentStatus present) {
  const bool pod = key.kind == api::Kind::kPod;
  auto found = items_.find(key);
  if (found == items_.end()) {
    // Of most pods there is nothing to remember.
    if (pod && present.conditions.empty()) return;
    found = items_.emplace(key, Item()).first;
  }
  Item& item = found->second;
  const bool news =
      present.uid != item.present.uid || present.generation != item.present.generation;
  if (news && !pod) item.not_before = MonotonicTime();  // Somebody else may have let go of it.
  if (!item.is_present) {
    for (const Condition& condition : present.conditions) {
      if (condition.type == kBound) continue;
      item.told = condition.reason + condition.message;
      item.told_bad = !condition.holds;
    }
  }
  item.is_present = true;
  item.present = std::move(present);
  Consider(key, item);
}

void StatusWriter::Forget(const api::ObjectKey& key) {
  items_.erase(key);
  held_.erase(key);
}

void StatusWriter::SetWanted(const api::ObjectKey& key, std::vector<Condition> wanted) {
  const auto found = items_.find(key);
  if (found != items_.end()) Want(key, found->second, std::move(wanted));
}

void StatusWriter::SetPodWanted(const api::NamespacedName& name, const std::string& uid,
                                Condition wanted) {
  const api::ObjectKey key{api::Kind::kPod, name};
  Item& item = items_[key];
  if (!item.is_present) {
    item.is_present = true;
    item.present.uid = uid;
    item.present.collection = kPods;
  }
  // Another one of that name is told of by the watch.
  if (item.present.uid == uid) Want(key, item, {std::move(wanted)});
}

void StatusWriter::RetainPods(const std::set<api::NamespacedName>& pods) {
  const api::ObjectKey first{api::Kind::kPod, {}};
  for (auto it = items_.lower_bound(first);
       it != items_.end() && it->first.kind == api::Kind::kPod;) {
    const auto here = it++;
    if (pods.contains(here->first.name)) continue;
    if (here->second.present.conditions.empty()) {
      held_.erase(here->first);
      items_.erase(here);
    } else {
      Want(here->first, here->second, {});
    }
  }
}

void StatusWriter::Want(const api::ObjectKey& key, Item& item, std::vector<Condition> wanted) {
  if (item.is_wanted && SaySame(item.wanted, wanted)) return;
  // News are worth a try, and are told of with it, whatever was refused before.
  if (!SaySameInSubstance(item.wanted, wanted)) {
    item.not_before = MonotonicTime();
    item.failures = 0;
  }
  item.wanted = std::move(wanted);
  item.is_wanted = true;
  Consider(key, item);
}

std::vector<Condition> StatusWriter::WantedNow(const api::ObjectKey& key, const Item& item) {
  std::vector<Condition> wanted = item.wanted;
  if (key.kind == api::Kind::kPod) return wanted;
  for (Condition& condition : wanted) condition.observed_generation = item.present.generation;
  return wanted;
}

bool StatusWriter::Differs(const api::ObjectKey& key, const Item& item) {
  return item.is_present && item.is_wanted &&
         !SaySame(WantedNow(key, item), item.present.conditions);
}

void StatusWriter::Consider(const api::ObjectKey& key, Item& item) {
  if (item.queued || !Differs(key, item)) return;
  MonotonicTime from = item.not_before;
  const bool written = item.written_at != MonotonicTime();
  if (written && SaySameInSubstance(WantedNow(key, item), item.present.conditions))
    from = std::max(from, item.written_at + kCountInterval);
  if (from > parts_.loop.Now()) {
    held_.insert(key);
    return;
  }
  item.queued = true;
  (key.kind == api::Kind::kPod ? pods_ : policies_).push_back(key);
  waiting_.Set(static_cast<int64_t>(waiting()));
  queued_.NotifyAll();
}

void StatusWriter::Recheck() {
  for (auto& [key, item] : items_) Consider(key, item);
}

Task<void> StatusWriter::Revisit(StopToken stop) {
  while (co_await parts_.loop.Sleep(kRevisitInterval, stop)) {
    for (const api::ObjectKey& key : std::exchange(held_, {})) {
      if (const auto found = items_.find(key); found != items_.end()) Consider(key, found->second);
    }
  }
}

bool StatusWriter::Next(api::ObjectKey& key) {
  std::deque<api::ObjectKey>& queue = policies_.empty() ? pods_ : policies_;
  if (queue.empty()) return false;
  key = std::move(queue.front());
  queue.pop_front();
  waiting_.Set(static_cast<int64_t>(waiting()));
  const auto found = items_.find(key);
  if (found != items_.end()) found->second.queued = false;
  return true;
}

Task<void> StatusWriter::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(Revisit(scope.stop()));
  while (!stop.requested()) {
    if (waiting() == 0) {
      (void)co_await queued_.Wait(stop);
      continue;
    }
    api::ObjectKey key;
    // Looked at again each second: who leads for a moment not, and then again, hears of no beginning.
    if (!parts_.may_write()) {
      while (Next(key)) held_.insert(key);
      continue;
    }
    const absl::Duration wait = limit_.Take(parts_.loop.Now());
    if (wait > absl::ZeroDuration()) {
      (void)co_await parts_.loop.Sleep(wait, stop);
      continue;
    }
    if (Next(key)) co_await Write(std::move(key), stop);
  }
  co_await scope.Drain();
}

// Refused, or good again after that; of a change of numbers in a sentence nothing is told.
void StatusWriter::Tell(const api::ObjectKey& key, Item& item) {
  if (item.wanted.empty()) return;
  const Condition& first = item.wanted.front();
  std::string told = first.reason + first.message;
  const bool bad = !first.holds;
  const bool before = std::exchange(item.told_bad, bad);
  if (std::exchange(item.told, told) == told || (!bad && !before)) return;
  parts_.events.Record({.object = key,
                        .api_version = ApiVersionOf(item.present.collection),
                        .uid = item.present.uid,
                        .warning = bad,
                        .reason = first.reason,
                        .note = first.message});
}

Task<void> StatusWriter::Write(api::ObjectKey key, StopToken stop) {
  const auto found = items_.find(key);
  if (found == items_.end() || !Differs(key, found->second)) co_return;
  Tell(key, found->second);
  const std::vector<Condition> conditions = WithTransitions(
      WantedNow(key, found->second), found->second.present.conditions, parts_.loop.clock().Wall());
  const kube::ApiRequest request = StatusRequest(key, found->second.present, conditions);
  Deadline patience(parts_.loop, stop, kLeaderWriteTimeout);
  const auto answer = co_await parts_.client.Call(request, patience.token());
  if (stop.requested()) co_return;
  const auto now = items_.find(key);  // It may be gone, or another.
  if (now == items_.end()) co_return;
  Item& item = now->second;
  if (answer.ok() && answer->status / 100 == 2) {
    written_.Add();
    trouble_.clear();
    item.failures = 0;
    item.written_at = parts_.loop.Now();
    // The watch may have told of it already, or of something newer that says otherwise.
    item.present.conditions = conditions;
    co_return Consider(key, item);
  }
  const absl::Status why = answer.ok() ? kube::StatusOf(request, *answer) : answer.status();
  // A pod that is gone, or another of its name: the watch and the next verdict tell what there is.
  if (key.kind == api::Kind::kPod && (absl::IsNotFound(why) || absl::IsAborted(why)))
    co_return Forget(key);
  Failed(key, item, why);
}

void StatusWriter::Failed(const api::ObjectKey& key, Item& item, const absl::Status& why) {
  const bool conflict = absl::IsAborted(why);
  // What is gone has refused nothing: the watch is about to tell of it.
  const bool gone = absl::IsNotFound(why);
  if (!gone) (conflict ? conflicts_ : failed_).Add();
  const absl::Duration wait =
      conflict ? kRetryMax
               : std::min(kRetryMax, kRetryMin * (1 << std::min(item.failures, kMaxDoublings)));
  ++item.failures;
  item.not_before = parts_.loop.Now() + Backoff::Jitter(wait, parts_.random);
  held_.insert(key);
  if (gone) return;
  const std::string trouble(why.message());
  if (std::exchange(trouble_, trouble) == trouble) return;
  LOG_WARN("status.unwritten", KV("object", key.ToString()), KV("reason", trouble),
           KV("effect", conflict ? "another manager owns its conditions: only events tell"
                                 : "tried again later"));
}

}  // namespace heddle::controlplane::status
