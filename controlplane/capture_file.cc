#include "controlplane/capture_file.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "controlplane/ca/private_file.h"

namespace heddle::controlplane {

absl::StatusOr<translate::CapturedPods> CaptureFile::Load() const {
  if (path_.empty()) return translate::CapturedPods();
  const auto text = ca::ReadPrivateFile(path_, ca::Secrecy::kPublic);
  if (absl::IsNotFound(text.status())) return translate::CapturedPods();
  if (!text.ok()) return text.status();
  try {
    return nlohmann::json::parse(*text).get<translate::CapturedPods>();
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(absl::StrCat(path_, ": ", error.what()));
  }
}

absl::Status CaptureFile::Save(const translate::CapturedPods& captured) const {
  if (path_.empty()) return absl::OkStatus();
  // A uid that an agent reports is bytes to us, which need not be UTF-8.
  const std::string text =
      nlohmann::json(captured).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return ca::ReplacePrivateFile(path_, text + "\n");
}

}  // namespace heddle::controlplane
