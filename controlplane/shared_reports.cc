#include "controlplane/shared_reports.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/kube/write_request.h"

namespace heddle::controlplane {
namespace {

constexpr char kFieldManager[] = "heddle-controller";
// Kubernetes supports 5 000 nodes.
constexpr size_t kMaxReportObjects = 20'000;
// After another controller has written of a node that reports to this one. Both may believe that it
// does, until one of them has noticed that its stream is dead.
constexpr absl::Duration kRewritePause = absl::Seconds(5);
constexpr absl::Duration kWriteTimeout = absl::Seconds(10);
// Between two writes of one node. A pod or two are told at once; a node whose pods come and go all the
// time, or whose agent has lost its mind, is no load on the API server.
constexpr absl::Duration kPaceMin = absl::Milliseconds(20);
constexpr absl::Duration kPaceMax = absl::Seconds(2);
constexpr absl::Duration kBackoffMin = absl::Milliseconds(200);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);

kube::ReflectorOptions OptionsFor(const std::string& name_space) {
  return {.paths = {absl::StrCat("/api/v1/namespaces/", name_space, "/configmaps")},
          .label_selector = absl::StrCat(kReportLabel, "=true"),
          .objects_max = kMaxReportObjects};
}

}  // namespace

SharedReports::Writes::Writes(MonotonicTime now)
    : not_before(now), pace(kPaceMin, kPaceMax), after_failure(kBackoffMin, kBackoffMax) {}

SharedReports::SharedReports(Parts parts)
    : parts_(std::move(parts)),
      reflector_(parts_.loop, parts_.client, OptionsFor(parts_.name_space), *this, parts_.random),
      due_changed_(parts_.loop),
      written_(parts_.registry,
               {.name = "heddle_controller_shared_reports",
                .help = "Reports of nodes that were written for the other controllers.",
                .labels = {{"result", "written"}}}),
      failed_(parts_.registry,
              {.name = "heddle_controller_shared_reports",
               .help = "Reports of nodes that were written for the other controllers.",
               .labels = {{"result", "failed"}}}) {
  parts_.reports.OnReport([this](const std::string& node) {
    WriteLater(node, absl::ZeroDuration());
    parts_.heard();
  });
}

Task<void> SharedReports::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(reflector_.Run(scope.stop()));
  scope.Spawn(WriteAll(scope.stop()));
  co_await scope.Join();
}

std::string SharedReports::PathOf(const std::string& node) const {
  return absl::StrCat("/api/v1/namespaces/", parts_.name_space, "/configmaps/",
                      ReportObjectName(node));
}

std::string SharedReports::trouble() const {
  return read_trouble_.empty() ? write_trouble_ : read_trouble_;
}

// ---- Reading ----

void SharedReports::OnObject(const kube::RawObject& object) {
  absl::StatusOr<ReportObject> report = ParseReportObject(object);
  if (!report.ok()) {
    // What was told before stays.
    LOG_WARN("report.object.refused", KV("object", object.name.ToString()),
             KV("reason", report.status()));
    return;
  }
  const std::string& node = report->node;
  seen_[node] = report->summary;
  // One's own words come back late, and are no news. Those from before this process began are.
  const bool own = report->heard_by == parts_.instance && writes_.contains(node);
  if (own) {
    parts_.reports.ShareOwn(node);
  } else {
    parts_.reports.Share(node, report->summary);
  }
  if (!parts_.reports.Hears(node)) {
    if (!own) due_.erase(node);
  } else if (report->summary != parts_.reports.SummaryOf(node)) {
    WriteLater(node, kRewritePause);
  }
  parts_.changed();
  parts_.heard();
}

void SharedReports::OnGone(const kube::ObjectName& name) {
  const auto found = std::ranges::find_if(
      seen_, [&](const auto& each) { return ReportObjectName(each.first) == name.name; });
  if (found == seen_.end()) return;
  const std::string node = found->first;
  seen_.erase(found);
  parts_.reports.Unshare(node);
  if (parts_.reports.Hears(node)) return WriteLater(node, kRewritePause);
  writes_.erase(node);
  parts_.forgotten();
}

void SharedReports::OnState(const kube::ReflectorState& state) {
  if (state.trouble() != read_trouble_) {
    read_trouble_ = state.trouble();
    if (!read_trouble_.empty())
      LOG_WARN("report.objects.unreadable", KV("reason", read_trouble_),
               KV("effect", synced() ? "what other controllers hear is not known here"
                                     : "nothing is served until they can be read"));
  }
  if (state.synced() && !std::exchange(known_, true)) parts_.known();
}

// ---- Writing ----

// The earlier of two wishes counts.
void SharedReports::WriteLater(const std::string& node, absl::Duration wait) {
  MonotonicTime at = parts_.loop.Now() + wait;
  if (const auto known = writes_.find(node); known != writes_.end())
    at = std::max(at, known->second.not_before);
  const auto [due, added] = due_.try_emplace(node, at);
  if (!added) due->second = std::min(due->second, at);
  due_changed_.NotifyAll();
}

Task<void> SharedReports::WriteAll(StopToken stop) {
  while (!stop.requested()) {
    const auto next = std::ranges::min_element(
        due_, [](const auto& a, const auto& b) { return a.second < b.second; });
    if (next == due_.end()) {
      (void)co_await due_changed_.Wait(stop);
      continue;
    }
    const absl::Duration wait = next->second - parts_.loop.Now();
    if (wait > absl::ZeroDuration()) {
      Deadline over(parts_.loop, stop, wait);
      (void)co_await due_changed_.Wait(over.token());
      continue;
    }
    const std::string node = next->first;
    due_.erase(next);
    co_await Write(node, stop);
  }
}

Task<void> SharedReports::Write(std::string node, StopToken stop) {
  const ReportObject report{
      .node = node, .heard_by = parts_.instance, .summary = parts_.reports.SummaryOf(node)};
  const auto seen = seen_.find(node);
  if (seen != seen_.end() && seen->second == report.summary) co_return;
  const MonotonicTime now = parts_.loop.Now();
  Writes& writes = writes_.try_emplace(node, now).first->second;
  if (now - writes.not_before > 2 * kPaceMax) writes.pace.Reset();
  writes.not_before = now + writes.pace.Next(parts_.random);
  // Before it is sent: what the watch says from now on is later than this.
  seen_[node] = report.summary;
  const kube::ApiRequest request = kube::ApplyRequest(
      PathOf(node), ToJson(report, parts_.name_space), kFieldManager, kube::Conflicts::kForce);
  Deadline patience(parts_.loop, stop, kWriteTimeout);
  const auto answer = co_await parts_.client.Call(request, patience.token());
  if (stop.requested()) co_return;
  if (!answer.ok() || answer->status / 100 != 2)
    co_return WriteFailed(node, answer.ok() ? kube::StatusOf(request, *answer) : answer.status());
  written_.Add();
  write_trouble_.clear();
  if (const auto known = writes_.find(node); known != writes_.end())
    known->second.after_failure.Reset();
}

// It may have been written all the same.
void SharedReports::WriteFailed(const std::string& node, const absl::Status& failure) {
  failed_.Add();
  seen_.erase(node);
  const std::string trouble(failure.message());
  if (std::exchange(write_trouble_, trouble) != trouble)
    LOG_WARN("report.object.unwritten", KV("node", node), KV("reason", trouble),
             KV("effect", "other controllers do not know what this node captures"));
  Writes& writes = writes_.try_emplace(node, parts_.loop.Now()).first->second;
  writes.not_before = parts_.loop.Now() + writes.after_failure.Next(parts_.random);
  WriteLater(node, absl::ZeroDuration());
}

Task<void> SharedReports::RemoveOthers(std::set<std::string> nodes, StopToken stop) {
  std::vector<std::string> gone;
  for (const auto& [node, summary] : seen_) {
    if (!nodes.contains(node) && !parts_.reports.Hears(node)) gone.push_back(node);
  }
  for (const std::string& node : gone) {
    const kube::ApiRequest request = kube::DeleteRequest(PathOf(node));
    Deadline patience(parts_.loop, stop, kWriteTimeout);
    const auto answer = co_await parts_.client.Call(request, patience.token());
    if (stop.requested()) co_return;
    const bool done = answer.ok() && (answer->status / 100 == 2 || answer->status == 404);
    LOG_INFO("report.object.removed", KV("node", node), KV("done", done));
    if (!done) co_return;  // There will be another time.
  }
}

}  // namespace heddle::controlplane
