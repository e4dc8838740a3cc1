#include "agent/node/cni_chain_edit.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/cni/json.h"
#include "lib/cni/version.h"

namespace heddle::agent {
namespace {

using cni::FindMember;
using cni::JsonKind;
using cni::JsonMember;
using cni::JsonValue;
using Members = std::vector<JsonMember>;

// Of our entry, in a list that was made of a file with one plugin: that file's name.
constexpr char kLiftedFromKey[] = "liftedFrom";

ChainEdit Skip(std::string reason) {
  return {.verdict = ChainEdit::Verdict::kSkip, .text = "", .reason = std::move(reason)};
}
ChainEdit Blocked(std::string reason) {
  return {.verdict = ChainEdit::Verdict::kBlocked, .text = "", .reason = std::move(reason)};
}
ChainEdit Write(std::string text) {
  return {.verdict = ChainEdit::Verdict::kWrite, .text = std::move(text), .reason = ""};
}

// Whether Go's decoder, laxer than ours, may accept the text: it takes bytes that are no UTF-8, two
// entries of one name, and any depth up to 10000; a byte order mark it does not.
bool MayBeJson(std::string_view text) {
  std::string ascii(text);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return nlohmann::json::accept(ascii);
}

bool IsText(const JsonValue* value) { return value != nullptr && value->kind == JsonKind::kString; }

std::string TextOf(const JsonValue* value) {
  return IsText(value) ? cni::JsonString(*value).value_or("") : "";
}

// The list's plugins in order, with what is asked about each.
struct Plugin {
  JsonValue value;
  std::string type;
};

// A configuration as far as editing needs it; views point into the text.
struct Chain {
  std::string_view text;
  Members members;
  std::vector<Plugin> plugins;

  size_t Begin(size_t i) const { return plugins[i].value.raw.data() - text.data(); }
  size_t End(size_t i) const { return Begin(i) + plugins[i].value.raw.size(); }
};

struct Read {
  std::optional<Chain> chain;
  ChainEdit otherwise;
};

ChainEdit Unreadable(std::string_view text) {
  if (text.size() > cni::kMaxJsonBytes) return Blocked("is longer than 1 MiB");
  if (!MayBeJson(text)) return Skip("is not JSON");
  return Blocked(
      "is JSON that parsers disagree about: two entries of one name, text that is not UTF-8, or "
      "nested deeper than 32");
}

bool ReadPlugins(const std::vector<JsonValue>& items, Chain& chain, ChainEdit& otherwise) {
  for (const JsonValue& item : items) {
    if (item.kind != JsonKind::kObject) {
      otherwise = Skip("has an entry in \"plugins\" that is not an object");
      return false;
    }
    const auto members = cni::JsonMembers(item);
    if (!members) {
      otherwise = Unreadable(chain.text);
      return false;
    }
    chain.plugins.push_back({item, TextOf(FindMember(*members, "type"))});
    if (chain.plugins.back().type.empty()) {
      otherwise = Skip("has an entry in \"plugins\" without a type");
      return false;
    }
  }
  return true;
}

Read ReadObject(std::string_view text) {
  const auto document = cni::ParseJson(text);
  if (!document) return {std::nullopt, Unreadable(text)};
  if (document->kind != JsonKind::kObject) return {std::nullopt, Skip("is not a JSON object")};
  auto members = cni::JsonMembers(*document);
  if (!members) return {std::nullopt, Unreadable(text)};
  const JsonValue* version = FindMember(*members, "cniVersion");
  if (version != nullptr && version->kind != JsonKind::kString)
    return {std::nullopt, Skip("has a cniVersion that is not a string")};
  return {Chain{.text = text, .members = *std::move(members), .plugins = {}}, {}};
}

Read ReadList(std::string_view text) {
  Read read = ReadObject(text);
  if (!read.chain) return read;
  Chain& chain = *read.chain;
  if (!IsText(FindMember(chain.members, "name"))) return {std::nullopt, Skip("has no name")};
  const JsonValue* plugins = FindMember(chain.members, "plugins");
  // libcni 1.3 finds more of them in a directory beside.
  if (plugins == nullptr) return {std::nullopt, Blocked("lists no plugins of its own")};
  if (plugins->kind != JsonKind::kArray)
    return {std::nullopt, Skip("has \"plugins\" that is no list")};
  const auto items = cni::JsonItems(*plugins);
  if (!items) return {std::nullopt, Blocked("lists too many plugins")};
  if (items->empty()) return {std::nullopt, Blocked("lists no plugins of its own")};
  if (!ReadPlugins(*items, chain, read.otherwise)) return {std::nullopt, read.otherwise};
  return read;
}

std::string EntryJson(const CniEntry& entry, std::string_view lifted_from) {
  std::string json = absl::StrCat("{\"type\":", cni::QuoteJson(kCniPluginName),
                                  ",\"runDir\":", cni::QuoteJson(entry.run_dir));
  absl::StrAppend(&json, ",\"exemptNamespaces\":[");
  const char* separator = "";
  for (const std::string& name : entry.exempt_namespaces) {
    absl::StrAppend(&json, separator, cni::QuoteJson(name));
    separator = ",";
  }
  json += "]";
  if (!lifted_from.empty())
    absl::StrAppend(&json, ",\"", kLiftedFromKey, "\":", cni::QuoteJson(lifted_from));
  return json + "}";
}

// The same values in any order and layout: a program that writes the file anew need not be answered.
bool SameJson(std::string_view a, std::string_view b) {
  return nlohmann::json::parse(a, nullptr, false) == nlohmann::json::parse(b, nullptr, false);
}

std::string LiftedFrom(const JsonValue& plugin) {
  const auto members = cni::JsonMembers(plugin);
  return members ? TextOf(FindMember(*members, kLiftedFromKey)) : "";
}

std::string Replace(std::string_view text, size_t begin, size_t end, std::string_view with) {
  return std::string(text.substr(0, begin))
      .append(with.data(), with.size())
      .append(text.substr(end));
}

// After the last one, with the space that stands before it.
std::string Append(const Chain& chain, std::string_view entry) {
  const size_t last = chain.plugins.size() - 1;
  const size_t begin = chain.Begin(last);
  size_t space = begin;
  while (std::string_view(" \t\r\n").contains(chain.text[space - 1])) --space;
  std::string with = ",";
  with += chain.text.substr(space, begin - space);
  with += entry;
  return Replace(chain.text, chain.End(last), chain.End(last), with);
}

// The text without what is ours; what stands between two others stays as it is.
std::string WithoutOurs(const Chain& chain) {
  std::string rest(chain.text.substr(0, chain.Begin(0)));
  bool first = true;
  for (size_t i = 0; i < chain.plugins.size(); ++i) {
    if (chain.plugins[i].type == kCniPluginName) continue;
    const size_t begin = first ? chain.Begin(i) : chain.End(i - 1);
    rest += chain.text.substr(begin, chain.End(i) - begin);
    first = false;
  }
  rest += chain.text.substr(chain.End(chain.plugins.size() - 1));
  return rest;
}

std::vector<size_t> Ours(const Chain& chain) {
  std::vector<size_t> found;
  for (size_t i = 0; i < chain.plugins.size(); ++i) {
    if (chain.plugins[i].type == kCniPluginName) found.push_back(i);
  }
  return found;
}

// What we could not read again would keep the node without a chain that we can look after.
ChainEdit WriteList(std::string text) {
  if (!ReadList(text).chain)
    return Blocked(
        "cannot take another entry: it would be longer than 1 MiB or nested deeper than 32");
  return Write(std::move(text));
}

ChainEdit InsertIntoList(std::string_view text, const CniEntry& entry) {
  Read read = ReadList(text);
  if (!read.chain) return read.otherwise;
  const Chain& chain = *read.chain;
  const std::vector<size_t> ours = Ours(chain);
  if (ours.size() == chain.plugins.size())
    return Blocked(absl::StrCat(kCniPluginName, " alone makes no network; put a plugin before it"));
  const auto version =
      cni::CheckVersion(TextOf(FindMember(chain.members, "cniVersion")), cni::Command::kAdd);
  if (!version) return Blocked(absl::StrCat("cannot be chained to: ", version.error().msg));
  if (ours.empty()) return WriteList(Append(chain, EntryJson(entry, "")));
  const std::string wanted = EntryJson(entry, LiftedFrom(chain.plugins[ours.back()].value));
  // More than one, or the first, which gets no result of another: all go, and one comes at the end.
  if (ours.size() > 1 || ours.front() == 0) {
    const std::string rest = WithoutOurs(chain);
    return WriteList(Append(*ReadList(rest).chain, wanted));
  }
  const size_t i = ours.front();
  if (SameJson(chain.plugins[i].value.raw, wanted)) return {};
  return WriteList(Replace(text, chain.Begin(i), chain.End(i), wanted));
}

ChainEdit Lift(const CniFile& file, const CniEntry& entry) {
  const Read read = ReadObject(file.text);
  if (!read.chain) return read.otherwise;
  const std::string type = TextOf(FindMember(read.chain->members, "type"));
  if (type.empty()) return Skip("has no type");
  if (type == kCniPluginName)
    return Blocked(absl::StrCat(kCniPluginName, " alone makes no network; put a plugin before it"));
  const std::string cni_version = TextOf(FindMember(read.chain->members, "cniVersion"));
  const auto version = cni::CheckVersion(cni_version, cni::Command::kAdd);
  if (!version) return Blocked(absl::StrCat("cannot be chained to: ", version.error().msg));
  const std::string_view plugin = cni::ParseJson(file.text)->raw;
  std::string list = absl::StrCat("{\n  \"cniVersion\": ", cni::QuoteJson(cni_version));
  absl::StrAppend(
      &list, ",\n  \"name\": ", cni::QuoteJson(TextOf(FindMember(read.chain->members, "name"))));
  list.append(",\n  \"plugins\": [\n    ").append(plugin);
  return WriteList(absl::StrCat(list, ",\n    ", EntryJson(entry, file.name), "\n  ]\n}\n"));
}

}  // namespace

std::optional<CniFileKind> CniFileKindOf(std::string_view name) {
  if (name.ends_with(".conflist")) return CniFileKind::kList;
  if (name.ends_with(".conf") || name.ends_with(".json")) return CniFileKind::kSingle;
  return std::nullopt;
}

std::string LiftedName(std::string_view name) {
  return std::string(name.substr(0, name.rfind('.'))) + ".conflist";
}

ChainEdit InsertEntry(const CniFile& file, const CniEntry& entry) {
  if (CniFileKindOf(file.name) == CniFileKind::kList) return InsertIntoList(file.text, entry);
  return Lift(file, entry);
}

ChainEdit RemoveEntry(std::string_view text) {
  const Read read = ReadList(text);
  if (!read.chain) return read.otherwise;
  if (Ours(*read.chain).empty()) return {};
  return Write(WithoutOurs(*read.chain));
}

bool IsLiftOf(std::string_view text, std::string_view single) {
  const Read read = ReadList(text);
  if (!read.chain || read.chain->plugins.size() != 2) return false;
  const Plugin& last = read.chain->plugins.back();
  return last.type == kCniPluginName && LiftedFrom(last.value) == single;
}

}  // namespace heddle::agent
