#pragma once

#include <string>
#include <vector>

namespace heddle::cli {

// Rows of text under headings, aligned in columns by two spaces: what a person reads and `awk`
// splits. An empty cell is shown as "-", so that columns do not shift.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  // As many cells as there are headings.
  void Add(std::vector<std::string> row);
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace heddle::cli
