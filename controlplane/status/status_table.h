#pragma once

#include <string>
#include <vector>

#include "controlplane/api/problem.h"

namespace heddle::controlplane::status {

// One line of what an operator asks: is my object in effect, and if not, why?
struct StatusRow {
  std::string kind;
  std::string name;   // "namespace/name"; empty where it cannot be read.
  std::string state;  // "in effect", "no effect", "refused".
  std::string note;   // Why, and what is in effect instead.
  std::string place;  // "file:line" of a refusal.
  bool operator==(const StatusRow&) const = default;
};

// Problems of the source first, then what became of the objects that are in effect. Of an object
// that has both only the problem is shown: it says what is in effect instead.
std::vector<StatusRow> StatusRows(const std::vector<api::Problem>& problems,
                                  const std::vector<api::ObjectStatus>& statuses);

// An aligned table with a head.
std::string ToText(const std::vector<StatusRow>& rows);
// An array of objects with the fields of StatusRow.
std::string ToJson(const std::vector<StatusRow>& rows);

}  // namespace heddle::controlplane::status
