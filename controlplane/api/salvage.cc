#include "controlplane/api/salvage.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "controlplane/api/dns_name.h"
#include "controlplane/api/yaml.h"

namespace heddle::controlplane::api {
namespace {

struct Document {
  std::string_view text;
  int line = 1;  // Where it begins.
};

std::vector<Document> Split(std::string_view text) {
  std::vector<Document> documents = {{text}};
  int line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (text.substr(at).starts_with("---") && documents.size() < kMaxSalvagedDocuments) {
      Document& last = documents.back();
      last.text = last.text.substr(0, static_cast<size_t>(text.data() + at - last.text.data()));
      documents.push_back({text.substr(at), line});
    }
    at = end + 1;
  }
  return documents;
}

void ShiftLines(Tree& tree, int lines) {
  tree.line += lines;
  for (Tree& item : tree.items) ShiftLines(item, lines);
  for (TreeMember& member : tree.members) {
    member.line += lines;
    ShiftLines(member.value, lines);
  }
}

// The first value of `namespace:` that can be one; "default" as for an object that has none.
std::string NamespaceIn(std::string_view text) {
  constexpr std::string_view kField = "namespace:";
  for (size_t at = text.find(kField); at != std::string_view::npos; at = text.find(kField, at)) {
    at += kField.size();
    const size_t begin = std::min(text.find_first_not_of(" \t\"'", at), text.size());
    const size_t end = std::min(text.find_first_of(" \t\"',}\r\n", begin), text.size());
    if (const std::string_view value = text.substr(begin, end - begin); IsDnsLabel(value)) {
      return std::string(value);
    }
  }
  return "default";
}

Decoded StandIn(Object stand_in, const Document& document, const YamlError& error) {
  return {.key = KeyOf(stand_in),
          .kind = std::string(ToString(KeyOf(stand_in).kind)),
          .line = error.line,
          .reason = absl::StrCat("the document that begins in line ", document.line,
                                 " cannot be read: ", error.reason),
          .stand_in = std::move(stand_in)};
}

void AddStandIns(const Document& document, const YamlError& error, std::string_view origin,
                 std::vector<Decoded>& out) {
  const ObjectMeta meta{.name = UnnamedName(origin, document.line),
                        .name_space = NamespaceIn(document.text)};
  if (document.text.find("AuthorizationPolicy") != std::string_view::npos) {
    auto policy = std::make_shared<const AuthorizationPolicy>(
        AuthorizationPolicy{.meta = meta,
                            .action = AuthorizationPolicy::Action::kDeny,
                            .rules = {PolicyRule{}},
                            .stand_in = true});
    out.push_back(StandIn(std::move(policy), document, error));
  }
  if (document.text.find("PeerAuthentication") != std::string_view::npos) {
    auto policy = std::make_shared<const PeerAuthentication>(
        PeerAuthentication{.meta = meta, .mode = MtlsMode::kStrict});
    out.push_back(StandIn(std::move(policy), document, error));
  }
  if (document.text.find("InterceptionPolicy") != std::string_view::npos) {
    auto policy = std::make_shared<const InterceptionPolicy>(InterceptionPolicy{.meta = meta});
    out.push_back(StandIn(std::move(policy), document, error));
  }
}

}  // namespace

std::vector<Decoded> SalvageDocuments(std::string_view text, std::string_view origin) {
  std::vector<Decoded> all;
  for (const Document& document : Split(text)) {
    std::vector<Tree> trees;
    YamlError error = ParseYaml(document.text, trees);
    error.line += document.line - 1;
    if (!error.ok()) AddStandIns(document, error, origin, all);
    for (Tree& tree : trees) {
      ShiftLines(tree, document.line - 1);
      for (Decoded& decoded : DecodeDocument(tree, origin)) all.push_back(std::move(decoded));
    }
  }
  return all;
}

}  // namespace heddle::controlplane::api
