#include "controlplane/api/yaml.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cstring>
#include <istream>
#include <streambuf>
#include <utility>

namespace heddle::controlplane::api {
namespace {

// A stream over memory that is not copied.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

// Builds trees from the parser's events. yaml-cpp's own document model keeps aliases as shared
// nodes and has no limits; this one counts every part as it is made. The parser cannot be stopped
// by its handler except by an exception, so after an error the remaining events are skipped, and
// what they can cost is bounded by the length of the text.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(YamlError& error) : error_(error) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp 0.7 does not get past some tokens, such as a ',' outside of any list, and reports
    // empty documents without end.
    if (mark.pos == document_at_) return Fail(LineOf(mark), "no document can begin here");
    document_at_ = mark.pos;
    root_ = Tree();
    open_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(Tree{.kind = Tree::Kind::kNull, .line = LineOf(mark)}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return Fail(LineOf(mark), "an alias inside what it names");
    CountCopy(LineOf(mark), found->second.parts, found->second.bytes);
    if (!error_.ok()) return;
    if (open_.size() + found->second.depth > kMaxYamlDepth) return Fail(LineOf(mark), kTooDeep);
    if (AtKey()) return TakeKey(found->second.tree);
    Place(found->second.tree);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // "?" is a scalar without quotes and without a tag, "!" one with quotes.
    const bool text = tag != "?" && tag != "" && !tag.ends_with(":int") &&
                      !tag.ends_with(":bool") && !tag.ends_with(":float");
    const bool null = !text && (value.empty() || value == "~" || value == "null" ||
                                value == "Null" || value == "NULL");
    Tree tree{
        .kind = text ? Tree::Kind::kText : Tree::Kind::kPlain, .line = LineOf(mark), .text = value};
    if (null && !AtKey()) tree = Tree{.kind = Tree::Kind::kNull, .line = LineOf(mark)};
    Add(std::move(tree), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Tree{.kind = Tree::Kind::kList, .line = LineOf(mark)}, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Tree{.kind = Tree::Kind::kMap, .line = LineOf(mark)}, anchor);
  }
  void OnMapEnd() override { Close(); }

  Tree TakeDocument() { return std::exchange(root_, Tree()); }

 private:
  static constexpr const char* kTooDeep = "nested too deeply";

  struct Level {
    Tree tree;
    YAML::anchor_t anchor = YAML::NullAnchor;
    size_t parts_before = 0;
    size_t bytes_before = 0;
    size_t depth = 1;  // Of what is below, this level included.
    bool has_key = false;
    TreeMember member;  // Its key was read, its value comes next.
    absl::flat_hash_set<std::string> keys;
  };
  struct Anchor {
    Tree tree;
    size_t parts = 0;
    size_t bytes = 0;
    size_t depth = 0;
  };

  static int LineOf(const YAML::Mark& mark) { return mark.line + 1; }
  bool AtKey() const {
    return !open_.empty() && open_.back().tree.kind == Tree::Kind::kMap && !open_.back().has_key;
  }

  void Fail(int line, std::string reason) {
    if (error_.ok()) error_ = {line, std::move(reason)};
  }

  void Open(Tree tree, YAML::anchor_t anchor) {
    if (!error_.ok()) return;
    if (AtKey()) return Fail(tree.line, "a mapping's key must be text");
    if (open_.size() >= kMaxYamlDepth) return Fail(tree.line, kTooDeep);
    open_.push_back({.tree = std::move(tree),
                     .anchor = anchor,
                     .parts_before = TotalParts(),
                     .bytes_before = TotalBytes()});
    Count(open_.back().tree.line, 0);
  }

  void Close() {
    if (!error_.ok()) return;
    Level level = std::move(open_.back());
    open_.pop_back();
    if (!open_.empty()) open_.back().depth = std::max(open_.back().depth, level.depth + 1);
    if (level.anchor != YAML::NullAnchor) {
      Keep(level.anchor, {level.tree, TotalParts() - level.parts_before,
                          TotalBytes() - level.bytes_before, level.depth});
      if (!error_.ok()) return;
    }
    Place(std::move(level.tree));
  }

  void Add(Tree tree, YAML::anchor_t anchor) {
    if (!error_.ok()) return;
    Count(tree.line, tree.text.size());
    if (anchor != YAML::NullAnchor) Keep(anchor, {tree, 1, tree.text.size(), 0});
    if (!error_.ok()) return;
    if (AtKey()) return TakeKey(std::move(tree));
    Place(std::move(tree));
  }

  // A kept tree is a copy, so it counts like an expanded alias.
  void Keep(YAML::anchor_t anchor, Anchor kept) {
    CountCopy(kept.tree.line, kept.parts, kept.bytes);
    if (error_.ok()) anchors_[anchor] = std::move(kept);
  }

  size_t TotalParts() const { return parts_ + alias_parts_; }
  size_t TotalBytes() const { return bytes_ + alias_bytes_; }

  // The parts and bytes of what an alias expands to are also part of whatever anchor they are in.
  void CountCopy(int line, size_t parts, size_t bytes) {
    alias_parts_ += parts;
    alias_bytes_ += bytes;
    if (alias_parts_ > kMaxYamlAliasParts || alias_bytes_ > kMaxYamlAliasBytes) {
      Fail(line, "aliases expand to too much");
    }
  }

  void Count(int line, size_t bytes) {
    bytes_ += bytes;
    if (++parts_ > kMaxYamlParts) Fail(line, "too many parts");
  }

  void TakeKey(Tree tree) {
    Level& level = open_.back();
    if (!tree.is_scalar()) return Fail(tree.line, "a mapping's key must be text");
    if (tree.text == "<<" && tree.kind == Tree::Kind::kPlain)
      return Fail(tree.line, "merge keys (<<) are not supported");
    if (!level.keys.insert(tree.text).second)
      return Fail(tree.line, absl::StrCat("the key \"", tree.text, "\" is given twice"));
    level.member = {.key = std::move(tree.text), .line = tree.line};
    level.has_key = true;
  }

  void Place(Tree tree) {
    if (open_.empty()) {
      root_ = std::move(tree);
      return;
    }
    Level& level = open_.back();
    if (level.tree.kind == Tree::Kind::kList) {
      level.tree.items.push_back(std::move(tree));
      return;
    }
    level.member.value = std::move(tree);
    level.tree.members.push_back(std::move(level.member));
    level.has_key = false;
  }

  YamlError& error_;
  int document_at_ = -1;
  Tree root_;
  std::vector<Level> open_;
  absl::flat_hash_map<YAML::anchor_t, Anchor> anchors_;
  size_t parts_ = 0;        // Of the whole text.
  size_t bytes_ = 0;        // Of scalars, of the whole text.
  size_t alias_parts_ = 0;  // Copies made for anchors and aliases, of the whole text.
  size_t alias_bytes_ = 0;
};

YamlError Parse(std::string_view text, std::vector<Tree>& documents) {
  YamlError error;
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    TreeBuilder builder(error);
    while (error.ok() && parser.HandleNextDocument(builder))
      documents.push_back(builder.TakeDocument());
  } catch (const YAML::Exception& exception) {
    if (error.ok()) error = {exception.mark.line + 1, exception.msg};
  } catch (const std::exception& exception) {
    if (error.ok()) error = {1, absl::StrCat("cannot be read: ", exception.what())};
  }
  return error;
}

}  // namespace

YamlError ParseYaml(std::string_view text, std::vector<Tree>& documents) {
  documents.clear();
  // yaml-cpp guesses UTF-16 and UTF-32 from the first bytes; no text has a NUL.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return {static_cast<int>(std::count(text.begin(), text.begin() + nul, '\n')) + 1,
            "has a NUL byte: only UTF-8 is read"};
  }
  YamlError error = Parse(text, documents);
  if (!error.ok()) documents.clear();
  return error;
}

}  // namespace heddle::controlplane::api
