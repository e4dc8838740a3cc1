#include "controlplane/removal_progress.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace heddle::controlplane {
namespace {

using translate::RemovalPhase;

constexpr std::string_view kPhaseKey = "phase";
constexpr std::string_view kDrainKey = "drainSeconds";
constexpr std::string_view kNodePrefix = "node.";
constexpr std::string_view kDone = "gone";
constexpr std::string_view kPhases[] = {"", "relax", "plain", "release"};
// Of what an agent says, in a place that people read.
constexpr size_t kMaxNoteBytes = 256;

RemovalPhase ParsePhase(std::string_view text) {
  if (text == kDone) return RemovalPhase::kRelease;
  const auto* found = std::find(std::begin(kPhases), std::end(kPhases), text);
  return found == std::end(kPhases) ? RemovalPhase::kNone
                                    : static_cast<RemovalPhase>(found - std::begin(kPhases));
}

absl::Duration ParseDrain(const std::map<std::string, std::string>& data) {
  const auto found = data.find(std::string(kDrainKey));
  uint32_t seconds = 0;
  if (found == data.end() || !absl::SimpleAtoi(found->second, &seconds))
    return kDefaultRemovalDrain;
  return std::min(absl::Seconds(seconds), kMaxRemovalDrain);
}

}  // namespace

std::string_view RemovalProgress::Name(Step step) {
  switch (step) {
    case Step::kNone: return "waiting";
    case Step::kRelaxed: return "relaxed";
    case Step::kPlain: return "plain";
    case Step::kGone: return "gone";
  }
  return "";
}

RemovalProgress::Step RemovalProgress::ParseStep(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(':'));
  for (const Step step : {Step::kRelaxed, Step::kPlain, Step::kGone}) {
    if (word == Name(step)) return step;
  }
  return Step::kNone;
}

void RemovalProgress::SetRequest(const api::Removal* request) {
  // Another ConfigMap is another removal, also to who has not seen the first one go.
  if (requested_ && request != nullptr && request->meta.uid != uid_) SetRequest(nullptr);
  recorded_.clear();
  if (request == nullptr) {
    if (!requested_) return;
    requested_ = false;
    confirmed_.clear();
    SetPhase(RemovalPhase::kNone);
    published_ = confirmed_phase_ = RemovalPhase::kNone;
    return;
  }
  requested_ = true;
  uid_ = request->meta.uid;
  const absl::Duration drain = ParseDrain(request->data);
  if (std::exchange(drain_, drain) != drain) ++generation_;
  for (const auto& [key, value] : request->data) {
    if (key.starts_with(kNodePrefix)) recorded_[key.substr(kNodePrefix.size())] = value;
  }
  const auto phase = request->data.find(std::string(kPhaseKey));
  const RemovalPhase recorded =
      phase == request->data.end() ? RemovalPhase::kNone : ParsePhase(phase->second);
  SetPhase(std::max({phase_, recorded, RemovalPhase::kRelax}));
  Advance();
}

void RemovalProgress::SetNodes(std::set<std::string> nodes) {
  nodes_ = std::move(nodes);
  for (const auto& [node, report] : reports_) nodes_.insert(node);
  Advance();
}

void RemovalProgress::Published(RemovalPhase phase) {
  if (std::exchange(published_, phase) != phase) ++generation_;
  Advance();
}

void RemovalProgress::InSync(const std::string& node) {
  if (!requested_ || published_ == RemovalPhase::kNone) return;
  Step& step = confirmed_[node];
  step = std::max(step, published_ == RemovalPhase::kRelax ? Step::kRelaxed : Step::kPlain);
  Advance();
}

void RemovalProgress::Reported(const std::string& node, NodeRemovalReport report) {
  report.note = Printable(report.note, kMaxNoteBytes);  // It goes to terminals.
  reports_[node] = std::move(report);
  nodes_.insert(node);
}

// A node that says it is gone is: also one whose acknowledgements another controller has had.
RemovalProgress::Step RemovalProgress::StepOf(const std::string& node) const {
  const auto report = reports_.find(node);
  if (report != reports_.end() && report->second.gone && release()) return Step::kGone;
  const auto recorded = recorded_.find(node);
  Step step = recorded == recorded_.end() ? Step::kNone : ParseStep(recorded->second);
  // Only its agent can know that it is gone, and that one is here and says otherwise.
  if (report != reports_.end()) step = std::min(step, Step::kPlain);
  const auto confirmed = confirmed_.find(node);
  return confirmed == confirmed_.end() ? step : std::max(step, confirmed->second);
}

bool RemovalProgress::AllAtLeast(Step step) const {
  return std::ranges::all_of(nodes_, [&](const std::string& node) { return StepOf(node) >= step; });
}

bool RemovalProgress::done() const { return release() && AllAtLeast(Step::kGone); }

void RemovalProgress::SetPhase(RemovalPhase phase) {
  if (std::exchange(phase_, phase) != phase) ++generation_;
}

// One phase at a time: the next one counts from when it has been published.
void RemovalProgress::Advance() {
  if (!requested_ || published_ != phase_) return;
  if (phase_ == RemovalPhase::kRelax && AllAtLeast(Step::kRelaxed)) {
    confirmed_phase_ = RemovalPhase::kPlain;
  } else if (phase_ == RemovalPhase::kPlain && AllAtLeast(Step::kPlain)) {
    confirmed_phase_ = RemovalPhase::kRelease;
  }
  if (!records_awaited_) SetPhase(std::max(phase_, confirmed_phase_));
}

std::string RemovalProgress::EntryOf(const std::string& node) const {
  const Step step = StepOf(node);
  const auto report = reports_.find(node);
  std::string_view note;
  if (report != reports_.end() && release()) note = report->second.note;
  if (report == reports_.end() && step < Step::kGone) {
    const auto recorded = recorded_.find(node);
    // Another controller has its agent.
    if (recorded != recorded_.end() && ParseStep(recorded->second) == step) return recorded->second;
    note = "its agent is not connected";
  }
  return note.empty() ? std::string(Name(step))
                      : absl::StrCat(ToAbsl(Name(step)), ": ", ToAbsl(note));
}

std::map<std::string, std::string> RemovalProgress::Record() const {
  std::map<std::string, std::string> record;
  if (!requested_) return record;
  const RemovalPhase phase = std::max(phase_, confirmed_phase_);
  record[std::string(kPhaseKey)] = done() ? kDone : kPhases[static_cast<size_t>(phase)];
  for (const std::string& node : nodes_)
    record[absl::StrCat(ToAbsl(kNodePrefix), node)] = EntryOf(node);
  return record;
}

}  // namespace heddle::controlplane
