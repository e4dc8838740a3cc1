#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/tree.h"

namespace heddle::controlplane::api {

// The first reason why an object is refused, and the line it stands on.
struct DecodeError {
  int line = 0;
  std::string reason;

  bool ok() const { return reason.empty(); }
  // Keeps the first one.
  void Set(int at, std::string why);
};

// What a decoder does with what it does not expect.
enum class Strictness : uint8_t {
  kLenient,  // Unknown fields are skipped, and text may be written without quotes: a cluster's dump
             // has many fields.
  kStrict,   // Both are errors: a policy that was read in part would mean something else.
};

// The keyword that a scalar without quotes stands for in YAML 1.1, as Kubernetes reads it: 80, 1e3,
// true, no, ~. Such a scalar is not text.
bool PlainScalarIsNotText(std::string_view plain);

// Reads one mapping field by field. Errors go to the DecodeError that all readers of one object
// share; after an error values are empty and reading goes on, so that decoders have no error paths
// of their own. A field may be written in lowerCamelCase or, as protobuf's JSON allows, in
// snake_case; null counts as absent.
class TreeReader {
 public:
  // A null tree reads as an empty mapping. `tree` and `error` outlive the reader.
  TreeReader(const Tree* tree, std::string path, Strictness strictness, DecodeError& error);

  bool present() const { return tree_ != nullptr; }
  const std::string& path() const { return path_; }
  int line() const { return tree_ == nullptr ? 0 : tree_->line; }

  // The field's tree, or null when it is absent. Counts as known.
  const Tree* Find(std::string_view name);
  // Known, and of no interest.
  void Skip(std::initializer_list<std::string_view> names);

  std::string String(std::string_view name);
  std::optional<bool> Bool(std::string_view name);
  std::optional<int64_t> Integer(std::string_view name);
  std::vector<std::string> Strings(std::string_view name);
  std::map<std::string, std::string> StringMap(std::string_view name);
  // A mapping; absent reads as empty, see present().
  TreeReader Child(std::string_view name);
  // One reader for each item of a list of mappings. `present` tells an empty list from none.
  std::vector<TreeReader> Children(std::string_view name, bool* present = nullptr);

  // Text of one scalar under this reader's strictness; for lists and maps of other shapes.
  std::string Text(const Tree& tree, std::string_view path);
  void Fail(int line, std::string reason) { error_->Set(line, std::move(reason)); }
  DecodeError& error() { return *error_; }
  Strictness strictness() const { return strictness_; }
  std::string PathOf(std::string_view name) const;

  // Strict: an error if any field has not been asked for. Call last.
  void RefuseUnknown();

 private:
  const Tree* tree_;
  std::string path_;
  Strictness strictness_;
  DecodeError* error_;
  std::vector<bool> known_;  // By member.
};

}  // namespace heddle::controlplane::api
