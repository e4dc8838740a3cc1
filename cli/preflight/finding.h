#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What a check of `heddlectl check` says.
namespace heddle::cli {

enum class Verdict : uint8_t {
  kOk,
  kSkipped,  // Could not be looked at from here; the sentence says why.
  kWarning,  // It works, but not as one may expect.
  kFailed,   // It does not work like this.
};
std::string_view NameOf(Verdict verdict);

struct Finding {
  std::string check;  // A short name that stays the same between versions: "kernel-programs".
  Verdict verdict = Verdict::kOk;
  std::string sentence;  // What is so.
  std::string advice;    // What to do; empty when there is nothing to do.
  bool operator==(const Finding&) const = default;
};

// For people: a table, what is to be done below the rows that need it, and a line that sums it up.
std::string FindingsTable(const std::vector<Finding>& findings);
// {"ok": bool, "findings": [{check, verdict, sentence, advice}]}
std::string FindingsJson(const std::vector<Finding>& findings);
// Nothing failed.
bool AllWell(const std::vector<Finding>& findings);

}  // namespace heddle::cli
