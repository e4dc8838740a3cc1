#include "controlplane/sources/object_claims.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "controlplane/sources/stand_in_effect.h"

namespace heddle::controlplane::sources {

using api::Decoded;
using api::ObjectKey;
using api::Problem;
namespace {

std::string AlsoIn(const std::string& owner) {
  return absl::StrCat("is also in ", owner, ", which had it first and counts");
}

}  // namespace

void ObjectClaims::SetFile(const std::string& file, std::vector<Decoded> objects) {
  SetObjects(file, std::move(objects));
  FileState& state = files_.at(file);
  state.problem.reset();
  state.good = true;
}

void ObjectClaims::SetSalvage(const std::string& file, std::vector<Decoded> objects) {
  SetObjects(file, std::move(objects));
}

bool ObjectClaims::WasGood(const std::string& file) const {
  const auto found = files_.find(file);
  return found != files_.end() && found->second.good;
}

// Ownership is settled in TakeDiff, so that an object which moves between two files in one go is not
// lost in between.
void ObjectClaims::SetObjects(const std::string& file, std::vector<Decoded> objects) {
  FileTable::value_type& entry = *files_.try_emplace(file).first;
  LetGo(entry);
  FileObjects& now = entry.second.objects;
  now = FileObjects(std::move(objects));
  for (const FileObjects::Claim& claim : now.claims)
    Unsettle(api::KeyOf(claim.object)).files.emplace(file, claim.index);
  for (const FileObjects::Suspect& suspect : now.suspects) {
    if (suspect.first) Unsettle(*suspect.decoded.key).files.emplace(file, suspect.index);
  }
}

void ObjectClaims::LetGo(FileTable::value_type& file) {
  for (const FileObjects::Claim& claim : file.second.objects.claims)
    Unsettle(api::KeyOf(claim.object)).files.erase(file.first);
  for (const FileObjects::Suspect& suspect : file.second.objects.suspects) {
    if (suspect.first) Unsettle(*suspect.decoded.key).files.erase(file.first);
  }
}

ObjectClaims::Unsettled& ObjectClaims::Unsettle(const ObjectKey& key) {
  dirty_.insert(key);
  const auto [at, added] = unsettled_.try_emplace(key);
  Unsettled& state = at->second;
  if (!added) return state;
  const auto settled = settled_.find(KeyView(key));
  if (settled == settled_.end()) return state;
  const FileObjects::Claim& claim = settled->get();
  state = {.owner = settled->file->first,
           .files = {{settled->file->first, claim.index}},
           .effective = claim.object};
  settled_.erase(settled);
  return state;
}

bool ObjectClaims::TrySettle(const Unsettled& state) {
  if (state.files.size() != 1 || state.stand_in) return false;
  FileTable::value_type& file = *files_.find(state.owner);
  const FileObjects& objects = file.second.objects;
  const FileObjects::Claim* claim = objects.ClaimAt(state.files.begin()->second);
  if (claim == nullptr) return false;
  settled_.insert({&file, static_cast<uint32_t>(claim - objects.claims.data())});
  return true;
}

void ObjectClaims::SetFileProblem(const std::string& file, int line, std::string reason) {
  FileState& state = files_[file];
  const Problem::Effect effect =
      state.good ? Problem::Effect::kLastGoodKept : Problem::Effect::kNothing;
  state.problem =
      Problem{.file = file, .line = line, .reason = std::move(reason), .effect = effect};
}

void ObjectClaims::RemoveFile(const std::string& file) {
  if (!files_.contains(file)) return;
  SetFile(file, {});
  files_.erase(file);
}

void ObjectClaims::Resolve(Unsettled& state) {
  if (state.files.empty()) {
    state.effective.reset();
    return;
  }
  if (!state.files.contains(state.owner)) state.owner = state.files.begin()->first;
  FileObjects& file = files_.at(state.owner).objects;
  const uint32_t index = state.files.at(state.owner);
  if (FileObjects::Claim* claim = file.ClaimAt(index); claim != nullptr) {
    const bool same =
        state.effective.has_value() && api::SameObject(*state.effective, claim->object);
    if (same) {
      claim->object = *state.effective;
    } else {
      state.effective = claim->object;
    }
    state.stand_in = false;
  } else if (!state.effective.has_value() || state.stand_in) {
    state.effective = file.SuspectAt(index)->decoded.stand_in;
    state.stand_in = true;
  }
}

api::StoreDiff ObjectClaims::TakeDiff() {
  api::StoreDiff diff;
  for (const ObjectKey& key : std::exchange(dirty_, {})) {
    const auto at = unsettled_.find(key);
    Unsettled& state = at->second;
    const std::optional<api::Object> told = state.effective;
    Resolve(state);
    if (state.effective.has_value()) {
      if (!told.has_value() || !api::SameObject(*told, *state.effective))
        diff.upserted.push_back(*state.effective);
    } else if (told.has_value()) {
      diff.removed.push_back(key);
    }
    if (state.files.empty() || TrySettle(state)) unsettled_.erase(at);
  }
  return diff;
}

Problem ObjectClaims::ProblemOf(const std::string& file,
                                const FileObjects::Suspect& suspect) const {
  const Decoded& decoded = suspect.decoded;
  Problem problem{.file = file,
                  .line = decoded.line,
                  .object = decoded.key,
                  .kind = decoded.kind,
                  .reason = decoded.reason};
  if (!decoded.key.has_value()) return problem;
  if (!suspect.first) {
    problem.reason = "is given twice in this file; the first one counts";
    return problem;
  }
  const Unsettled& key = unsettled_.at(*decoded.key);
  if (!key.owner.empty() && key.owner != file) {
    problem.reason = AlsoIn(key.owner);
  } else if (key.effective.has_value()) {
    problem.effect =
        key.stand_in ? EffectOfStandIn(*key.effective) : Problem::Effect::kLastGoodKept;
  }
  return problem;
}

std::vector<Problem> ObjectClaims::Problems() const {
  // By file, and by place in it.
  std::map<std::string_view, std::map<uint32_t, Problem>> found;
  for (const auto& [file, state] : files_) {
    for (const FileObjects::Suspect& suspect : state.objects.suspects)
      found[file].emplace(suspect.index, ProblemOf(file, suspect));
  }
  for (const auto& [key, state] : unsettled_) {
    for (const auto& [file, index] : state.files) {
      const FileObjects::Claim* claim = files_.at(file).objects.ClaimAt(index);
      if (claim == nullptr || state.owner.empty() || state.owner == file) continue;
      found[file].emplace(index, Problem{.file = file,
                                         .line = claim->line,
                                         .object = key,
                                         .kind = std::string(api::ToString(key.kind)),
                                         .reason = AlsoIn(state.owner)});
    }
  }
  std::vector<Problem> problems;
  for (const auto& [file, state] : files_) {
    if (state.problem.has_value()) problems.push_back(*state.problem);
    for (auto& [index, problem] : found[file]) {
      if (!problem.reason.empty()) problems.push_back(std::move(problem));
    }
  }
  return problems;
}

std::vector<std::string> ObjectClaims::Files() const {
  std::vector<std::string> files;
  for (const auto& [file, state] : files_) files.push_back(file);
  return files;
}

}  // namespace heddle::controlplane::sources
