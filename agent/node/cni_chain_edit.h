#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Our entry in the configuration of a CNI chain, put in and taken out. Pure: text in, text out.
//
// Files are edited by spans, not parsed and written anew: every byte that is not ours stays, keys
// that we have never heard of and the layout too, and taking the entry out of what it was put into
// gives the file of before. A file with one plugin (.conf, .json) becomes a list whose first entry
// is the whole old file.
//
// What a runtime loads is decided as libcni does (CNI specification 1.1.0, section 1; libcni 1.x).
// Where versions of it differ, a file that one of them would take is never passed over: then the
// verdict is kBlocked, because an entry in a later file would leave pods outside the mesh unseen.
namespace heddle::agent {

inline constexpr char kCniPluginName[] = "heddle-cni";
inline constexpr char kCniStubName[] = "heddle-cni-stub";

// What the entry says (docs/reference/cni-plugin.md).
struct CniEntry {
  std::string run_dir;
  std::vector<std::string> exempt_namespaces;
};

enum class CniFileKind : uint8_t { kSingle, kList };
// By the file's ending, as runtimes do; empty for files that they do not look at.
std::optional<CniFileKind> CniFileKindOf(std::string_view name);
// The list that a file with a single plugin becomes: "10-x.conf" -> "10-x.conflist".
std::string LiftedName(std::string_view name);

struct CniFile {
  std::string_view name;
  std::string_view text;
};

struct ChainEdit {
  enum class Verdict : uint8_t {
    kUnchanged,  // Nothing to write.
    kWrite,      // Write `text`.
    kSkip,       // No runtime loads this file.
    kBlocked,    // A runtime may load it, and it must not or cannot be edited.
  };
  Verdict verdict = Verdict::kUnchanged;
  std::string text;
  std::string reason;  // For kSkip and kBlocked; part of a sentence: "is not JSON".
};

// Puts our entry at the end of the list, or brings it up to date where it is: others may stand after
// it, but not all of them. Several entries of ours become one. `file.name` has a kind.
ChainEdit InsertEntry(const CniFile& file, const CniEntry& entry);

// Takes every entry of ours out of a list; kUnchanged when there is none.
ChainEdit RemoveEntry(std::string_view text);

// Whether the text is a list that InsertEntry made of the file called `single`.
bool IsLiftOf(std::string_view text, std::string_view single);

}  // namespace heddle::agent
