#include "controlplane/api/json.h"

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace heddle::controlplane::api {
namespace {

// Objects with fewer keys are searched one by one for doubles.
constexpr size_t kFewKeys = 16;

// Builds the tree from the parser's events; returning false ends the parse. nlohmann's own document
// would be a second copy, has no limits, and keeps the last of two equal keys.
class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  const std::string& reason() const { return reason_; }
  Tree Take() { return std::move(root_); }

  bool null() override { return Add({.kind = Tree::Kind::kNull}); }
  bool boolean(bool value) override { return AddPlain(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return AddPlain(absl::StrCat(value)); }
  bool number_unsigned(number_unsigned_t value) override { return AddPlain(absl::StrCat(value)); }
  bool number_float(number_float_t, const string_t& text) override { return AddPlain(text); }
  bool string(string_t& value) override {
    return Add({.kind = Tree::Kind::kText, .text = std::move(value)});
  }
  bool binary(binary_t&) override { return Fail("has binary data"); }
  bool start_object(size_t) override { return Open(Tree::Kind::kMap); }
  bool start_array(size_t) override { return Open(Tree::Kind::kList); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& value) override;
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("is not JSON at byte ", at));
  }

 private:
  struct Level {
    Tree tree;
    bool skipped = false;                   // What is in it is read and dropped.
    std::string key;                        // Whose value comes next.
    absl::flat_hash_set<std::string> keys;  // From kFewKeys on.
  };

  bool Fail(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }
  bool Skipping() const;
  bool AddPlain(std::string text) {
    return Add({.kind = Tree::Kind::kPlain, .text = std::move(text)});
  }
  bool Count() { return ++parts_ <= kMaxJsonParts || Fail("has too many parts"); }
  bool Add(Tree tree) { return Count() && (Skipping() || Place(std::move(tree))); }
  bool Open(Tree::Kind kind);
  bool Close();
  bool Place(Tree tree);

  Tree root_;
  std::vector<Level> open_;
  size_t parts_ = 0;
  std::string reason_;
};

bool TreeBuilder::Skipping() const {
  if (open_.empty()) return false;
  const Level& level = open_.back();
  const bool in_metadata = open_.size() == 2 && open_.front().key == "metadata";
  return level.skipped || (in_metadata && level.key == "managedFields");
}

bool TreeBuilder::key(string_t& value) {
  Level& level = open_.back();
  level.key = std::move(value);
  if (level.skipped) return true;
  const std::vector<TreeMember>& members = level.tree.members;
  bool twice = false;
  if (members.size() < kFewKeys) {
    twice = std::ranges::any_of(members, [&](const auto& one) { return one.key == level.key; });
  } else {
    if (level.keys.empty())
      for (const TreeMember& member : members) level.keys.insert(member.key);
    twice = !level.keys.insert(level.key).second;
  }
  return !twice || Fail(absl::StrCat("the key \"", level.key, "\" is given twice"));
}

bool TreeBuilder::Open(Tree::Kind kind) {
  if (open_.size() >= kMaxJsonDepth) return Fail("is nested too deeply");
  if (!Count()) return false;
  const bool skipped = Skipping();
  open_.push_back({.tree = {.kind = kind}, .skipped = skipped});
  return true;
}

bool TreeBuilder::Close() {
  Level level = std::move(open_.back());
  open_.pop_back();
  return level.skipped || Place(std::move(level.tree));
}

bool TreeBuilder::Place(Tree tree) {
  if (open_.empty()) {
    root_ = std::move(tree);
    return true;
  }
  Level& level = open_.back();
  if (level.tree.kind == Tree::Kind::kList) {
    level.tree.items.push_back(std::move(tree));
  } else {
    // The key stays: Skipping looks at it.
    level.tree.members.push_back({.key = level.key, .value = std::move(tree)});
  }
  return true;
}

}  // namespace

absl::StatusOr<Tree> ParseJson(std::string_view text) {
  TreeBuilder builder;
  bool parsed = false;
  try {
    parsed = nlohmann::json::sax_parse(text, &builder);
  } catch (const std::exception& exception) {
    return absl::InvalidArgumentError(absl::StrCat("cannot be read: ", exception.what()));
  }
  if (parsed) return builder.Take();
  return absl::InvalidArgumentError(builder.reason());
}

}  // namespace heddle::controlplane::api
