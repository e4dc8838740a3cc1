#include "controlplane/status/status_table.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "lib/base/strings.h"

namespace heddle::controlplane::status {
namespace {

using Cells = std::array<std::string_view, 5>;

Cells CellsOf(const StatusRow& row) { return {row.kind, row.name, row.state, row.place, row.note}; }

}  // namespace

std::vector<StatusRow> StatusRows(const std::vector<api::Problem>& problems,
                                  const std::vector<api::ObjectStatus>& statuses) {
  std::vector<StatusRow> rows;
  std::set<api::ObjectKey> with_problem;
  for (const api::Problem& problem : problems) {
    StatusRow row{.kind = problem.kind, .state = "refused"};
    row.place = problem.line > 0 ? absl::StrCat(problem.file, ":", problem.line) : problem.file;
    row.note = absl::StrCat(problem.reason, "; ", ToAbsl(api::Describe(problem.effect)));
    if (problem.object.has_value()) {
      row.kind = std::string(api::ToString(problem.object->kind));
      row.name = problem.object->name.ToString();
      with_problem.insert(*problem.object);
    }
    rows.push_back(std::move(row));
  }
  for (const api::ObjectStatus& status : statuses) {
    if (with_problem.contains(status.object)) continue;
    rows.push_back({.kind = std::string(api::ToString(status.object.kind)),
                    .name = status.object.name.ToString(),
                    .state = status.effective ? "in effect" : "no effect",
                    .note = status.note});
  }
  return rows;
}

std::string ToText(const std::vector<StatusRow>& rows) {
  std::vector<Cells> table = {{"KIND", "NAME", "STATE", "PLACE", "NOTE"}};
  for (const StatusRow& row : rows) table.push_back(CellsOf(row));
  std::array<size_t, 5> widths{};
  for (const Cells& cells : table) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  std::string text;
  for (const Cells& cells : table) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      absl::StrAppend(&line, ToAbsl(cells[i]), std::string(widths[i] - cells[i].size() + 2, ' '));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string ToJson(const std::vector<StatusRow>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const StatusRow& row : rows) {
    array.push_back({{"kind", row.kind},
                     {"name", row.name},
                     {"state", row.state},
                     {"place", row.place},
                     {"note", row.note}});
  }
  // File names and reasons may quote bytes that are no UTF-8.
  return array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace heddle::controlplane::status
