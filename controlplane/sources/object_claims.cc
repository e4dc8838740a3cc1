#include "controlplane/sources/object_claims.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "controlplane/sources/stand_in_effect.h"

namespace heddle::controlplane::sources {

using api::Decoded;
using api::ObjectKey;
using api::Problem;

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

void ObjectClaims::SetObjects(const std::string& file, std::vector<Decoded> objects) {
  FileState& state = files_[file];
  std::set<ObjectKey> touched;
  for (const auto& [key, index] : state.first) {
    LetGo(file, key);
    touched.insert(key);
  }
  state.objects = std::move(objects);
  state.first.clear();
  state.suspects.clear();
  for (size_t i = 0; i < state.objects.size(); ++i) {
    const std::optional<ObjectKey>& key = state.objects[i].key;
    const bool first = key.has_value() && state.first.emplace(*key, i).second;
    if (!state.objects[i].reason.empty() || !first) state.suspects.insert(i);
    if (!first) continue;
    Take(file, *key);
    touched.insert(*key);
  }
  // Ownership is settled in TakeDiff, so that an object which moves between two files in one go is
  // not lost in between.
  dirty_.merge(touched);
}

void ObjectClaims::LetGo(const std::string& file, const ObjectKey& key) {
  std::set<std::string>& files = keys_[key].files;
  files.erase(file);
  if (files.size() < 2) contested_.erase(key);
}

void ObjectClaims::Take(const std::string& file, const ObjectKey& key) {
  std::set<std::string>& files = keys_[key].files;
  files.insert(file);
  if (files.size() > 1) contested_.insert(key);
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

void ObjectClaims::Resolve(const ObjectKey& key) {
  KeyState& state = keys_[key];
  if (state.files.empty()) {
    state.effective.reset();
    return;
  }
  if (!state.files.contains(state.owner)) state.owner = *state.files.begin();
  const FileState& file = files_.at(state.owner);
  const Decoded& decoded = file.objects[file.first.at(key)];
  if (decoded.object.has_value()) {
    state.effective = decoded.object;
    state.stand_in = false;
  } else if (!state.effective.has_value() || state.stand_in) {
    state.effective = decoded.stand_in;
    state.stand_in = true;
  }
}

api::StoreDiff ObjectClaims::TakeDiff() {
  api::StoreDiff diff;
  for (const ObjectKey& key : std::exchange(dirty_, {})) {
    Resolve(key);
    KeyState& state = keys_[key];
    if (state.effective.has_value()) {
      if (!state.told.has_value() || !api::SameObject(*state.told, *state.effective)) {
        diff.upserted.push_back(*state.effective);
      }
    } else if (state.told.has_value()) {
      diff.removed.push_back(key);
    }
    state.told = state.effective;
    if (state.files.empty()) keys_.erase(key);
  }
  return diff;
}

Problem ObjectClaims::ProblemOf(const std::string& file, size_t index) const {
  const FileState& state = files_.at(file);
  const Decoded& decoded = state.objects[index];
  Problem problem{.file = file,
                  .line = decoded.line,
                  .object = decoded.key,
                  .kind = decoded.kind,
                  .reason = decoded.reason};
  if (!decoded.key.has_value()) return problem;
  const KeyState& key = keys_.at(*decoded.key);
  if (state.first.at(*decoded.key) != index) {
    problem.reason = "is given twice in this file; the first one counts";
  } else if (!key.owner.empty() && key.owner != file) {
    problem.reason = absl::StrCat("is also in ", key.owner, ", which had it first and counts");
  } else if (!decoded.reason.empty() && key.effective.has_value()) {
    problem.effect =
        key.stand_in ? EffectOfStandIn(*key.effective) : Problem::Effect::kLastGoodKept;
  }
  return problem;
}

std::vector<Problem> ObjectClaims::Problems() const {
  std::map<std::string_view, std::set<size_t>> contested;
  for (const ObjectKey& key : contested_) {
    for (const std::string& file : keys_.at(key).files)
      contested[file].insert(files_.at(file).first.at(key));
  }
  std::vector<Problem> problems;
  for (const auto& [file, state] : files_) {
    if (state.problem.has_value()) problems.push_back(*state.problem);
    std::set<size_t> suspects = state.suspects;
    suspects.merge(contested[file]);
    for (const size_t i : suspects) {
      Problem problem = ProblemOf(file, i);
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
