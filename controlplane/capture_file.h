#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "controlplane/translate/translate.h"

namespace heddle::controlplane {

// The pods that are reported captured, as a file:
//
//   {"<node>": ["<uid of a pod>", ...], ...}
//
// Without it a restart of the controller would announce every pod as plain until its agent has
// come back, and peers would send plaintext to those that allow it. One thread's.
class CaptureFile {
 public:
  // An empty path: nowhere.
  explicit CaptureFile(std::string path) : path_(std::move(path)) {}

  // Nothing when there is no file. An error: it cannot be read, or has another form.
  absl::StatusOr<translate::CapturedPods> Load() const;
  absl::Status Save(const translate::CapturedPods& captured) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace heddle::controlplane
