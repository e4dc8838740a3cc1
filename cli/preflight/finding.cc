#include "cli/preflight/finding.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/strings.h"

namespace heddle::cli {
namespace {

size_t Count(const std::vector<Finding>& findings, Verdict verdict) {
  return static_cast<size_t>(std::ranges::count(findings, verdict, &Finding::verdict));
}

// What a file or an object is called must not move the cursor.
std::string Printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  return text;
}

}  // namespace

std::string_view NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kSkipped: return "skipped";
    case Verdict::kWarning: return "warning";
    case Verdict::kFailed: return "failed";
  }
  return "";
}

std::string FindingsTable(const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.check.size());
  constexpr size_t kVerdictWidth = 7;  // "skipped", "warning".
  std::string text;
  for (const Finding& finding : findings) {
    std::string verdict(NameOf(finding.verdict));
    verdict.resize(kVerdictWidth, ' ');
    std::string check = finding.check;
    check.resize(width, ' ');
    absl::StrAppend(&text, verdict, "  ", check, "  ", Printable(finding.sentence), "\n");
    if (finding.advice.empty()) continue;
    absl::StrAppend(&text, std::string(kVerdictWidth + width + 4, ' '), "-> ",
                    Printable(finding.advice), "\n");
  }
  absl::StrAppend(&text, Count(findings, Verdict::kOk), " ok, ", Count(findings, Verdict::kWarning),
                  " warnings, ", Count(findings, Verdict::kFailed), " failed, ",
                  Count(findings, Verdict::kSkipped), " skipped\n");
  return text;
}

std::string FindingsJson(const std::vector<Finding>& findings) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Finding& finding : findings) {
    rows.push_back({{"check", finding.check},
                    {"verdict", std::string(NameOf(finding.verdict))},
                    {"sentence", finding.sentence},
                    {"advice", finding.advice}});
  }
  const nlohmann::json report = {{"ok", AllWell(findings)}, {"findings", std::move(rows)}};
  constexpr int kIndent = 2;
  // A file's name may be no UTF-8.
  return report.dump(kIndent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool AllWell(const std::vector<Finding>& findings) {
  return Count(findings, Verdict::kFailed) == 0;
}

}  // namespace heddle::cli
