#include "controlplane/api/tree_reader.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/strings.h"

namespace heddle::controlplane::api {
namespace {

// Longest piece of a document that an error message quotes.
constexpr size_t kMaxQuoted = 64;

std::string Quoted(std::string_view text) {
  return absl::StrCat("\"", absl::CHexEscape(ToAbsl(text.substr(0, kMaxQuoted))),
                      text.size() > kMaxQuoted ? "...\"" : "\"");
}

std::string SnakeCase(std::string_view name) {
  std::string snake;
  for (const char c : name) {
    if (absl::ascii_isupper(c)) snake += '_';
    snake += absl::ascii_tolower(c);
  }
  return snake;
}

std::string_view KindName(Tree::Kind kind) {
  switch (kind) {
    case Tree::Kind::kNull: return "null";
    case Tree::Kind::kPlain: return "a number or boolean";
    case Tree::Kind::kText: return "text";
    case Tree::Kind::kList: return "a list";
    case Tree::Kind::kMap: return "a mapping";
  }
  return "";
}

std::string Expected(std::string_view path, std::string_view wanted, const Tree& found) {
  return absl::StrCat(ToAbsl(path), " must be ", ToAbsl(wanted), ", not ",
                      ToAbsl(KindName(found.kind)));
}

}  // namespace

void DecodeError::Set(int at, std::string why) {
  if (!ok()) return;
  line = at;
  reason = std::move(why);
}

bool PlainScalarIsNotText(std::string_view plain) {
  const std::string lower = absl::AsciiStrToLower(ToAbsl(plain));
  for (const char* word : {"", "~", "null", "true", "false", "yes", "no", "on", "off", ".inf",
                           "-.inf", "+.inf", ".nan"}) {
    if (lower == word) return true;
  }
  double number = 0;
  int64_t integer = 0;
  if (absl::SimpleHexAtoi(lower, &integer) && lower.starts_with("0x")) return true;
  // SimpleAtod knows words, such as "infinity", that YAML does not.
  return !absl::ascii_isalpha(lower.front()) && absl::SimpleAtod(lower, &number);
}

TreeReader::TreeReader(const Tree* tree, std::string path, Strictness strictness,
                       DecodeError& error)
    : tree_(tree), path_(std::move(path)), strictness_(strictness), error_(&error) {
  if (tree_ != nullptr && tree_->kind == Tree::Kind::kNull) tree_ = nullptr;
  if (tree_ != nullptr && tree_->kind != Tree::Kind::kMap) {
    Fail(tree_->line, Expected(path_, "a mapping", *tree_));
    tree_ = nullptr;
  }
  if (tree_ != nullptr) known_.resize(tree_->members.size());
}

std::string TreeReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : absl::StrCat(path_, ".", ToAbsl(name));
}

const Tree* TreeReader::Find(std::string_view name) {
  if (tree_ == nullptr) return nullptr;
  const std::string snake = SnakeCase(name);
  const Tree* found = nullptr;
  for (size_t i = 0; i < tree_->members.size(); ++i) {
    const TreeMember& member = tree_->members[i];
    if (member.key != name && member.key != snake) continue;
    known_[i] = true;
    if (found != nullptr)
      Fail(member.line, absl::StrCat(PathOf(name), " is given twice, in two spellings"));
    found = &member.value;
  }
  return found != nullptr && found->kind == Tree::Kind::kNull ? nullptr : found;
}

void TreeReader::Skip(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) Find(name);
}

std::string TreeReader::Text(const Tree& tree, std::string_view path) {
  const bool is_text = tree.kind == Tree::Kind::kText ||
                       (tree.kind == Tree::Kind::kPlain &&
                        (strictness_ == Strictness::kLenient || !PlainScalarIsNotText(tree.text)));
  if (is_text) return tree.text;
  Fail(tree.line,
       tree.kind == Tree::Kind::kPlain
           ? absl::StrCat(ToAbsl(path), " must be text: write ", Quoted(tree.text), " with quotes")
           : Expected(path, "text", tree));
  return "";
}

std::string TreeReader::String(std::string_view name) {
  const Tree* tree = Find(name);
  return tree == nullptr ? "" : Text(*tree, PathOf(name));
}

std::optional<bool> TreeReader::Bool(std::string_view name) {
  const Tree* tree = Find(name);
  if (tree == nullptr) return std::nullopt;
  if (tree->kind == Tree::Kind::kPlain && (tree->text == "true" || tree->text == "false"))
    return tree->text == "true";
  Fail(tree->line, absl::StrCat(PathOf(name), " must be true or false"));
  return std::nullopt;
}

std::optional<int64_t> TreeReader::Integer(std::string_view name) {
  const Tree* tree = Find(name);
  if (tree == nullptr) return std::nullopt;
  int64_t value = 0;
  if (tree->is_scalar() && absl::SimpleAtoi(tree->text, &value)) return value;
  Fail(tree->line, absl::StrCat(PathOf(name), " must be a whole number"));
  return std::nullopt;
}

std::vector<std::string> TreeReader::Strings(std::string_view name) {
  const Tree* tree = Find(name);
  std::vector<std::string> texts;
  if (tree == nullptr) return texts;
  if (tree->kind != Tree::Kind::kList) {
    Fail(tree->line, Expected(PathOf(name), "a list", *tree));
    return texts;
  }
  for (const Tree& item : tree->items) {
    texts.push_back(Text(item, absl::StrCat(PathOf(name), "[", texts.size(), "]")));
  }
  return texts;
}

std::map<std::string, std::string> TreeReader::StringMap(std::string_view name) {
  const Tree* tree = Find(name);
  std::map<std::string, std::string> texts;
  if (tree == nullptr) return texts;
  if (tree->kind != Tree::Kind::kMap) {
    Fail(tree->line, Expected(PathOf(name), "a mapping", *tree));
    return texts;
  }
  for (const TreeMember& member : tree->members) {
    const bool empty =
        member.value.kind == Tree::Kind::kNull && strictness_ == Strictness::kLenient;
    texts[member.key] =
        empty ? "" : Text(member.value, absl::StrCat(PathOf(name), "[", member.key, "]"));
  }
  return texts;
}

TreeReader TreeReader::Child(std::string_view name) {
  return {Find(name), PathOf(name), strictness_, *error_};
}

std::vector<TreeReader> TreeReader::Children(std::string_view name, bool* present) {
  const Tree* tree = Find(name);
  std::vector<TreeReader> readers;
  if (present != nullptr) *present = tree != nullptr;
  if (tree == nullptr) return readers;
  if (tree->kind != Tree::Kind::kList) {
    Fail(tree->line, Expected(PathOf(name), "a list", *tree));
    return readers;
  }
  for (const Tree& item : tree->items) {
    std::string path = absl::StrCat(PathOf(name), "[", readers.size(), "]");
    if (item.kind == Tree::Kind::kNull) Fail(item.line, Expected(path, "a mapping", item));
    readers.emplace_back(&item, std::move(path), strictness_, *error_);
  }
  return readers;
}

void TreeReader::RefuseUnknown() {
  if (tree_ == nullptr || strictness_ == Strictness::kLenient) return;
  for (size_t i = 0; i < known_.size(); ++i) {
    if (known_[i]) continue;
    const TreeMember& member = tree_->members[i];
    Fail(member.line,
         absl::StrCat("unknown field ", Quoted(member.key), path_.empty() ? "" : " in ", path_));
  }
}

}  // namespace heddle::controlplane::api
