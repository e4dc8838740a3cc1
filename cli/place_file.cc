#include "cli/place_file.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

absl::Status WriteAll(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file || ::chmod(path.c_str(), 0644) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> PlaceFile(const std::string& from, const std::string& to) {
  std::error_code error;
  const uintmax_t size = fs::file_size(from, error);
  if (error) return absl::NotFoundError(absl::StrCat("cannot read ", from, ": ", error.message()));
  if (size > kMaxPlacedBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(from, " has more than ", kMaxPlacedBytes, " bytes"));
  }
  std::ifstream in(from, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in || content.size() != size)
    return absl::UnavailableError(absl::StrCat("cannot read ", from));
  fs::create_directories(fs::path(to).parent_path(), error);
  const std::string temporary = absl::StrCat(to, ".", ::getpid(), ".tmp");
  absl::Status placed = WriteAll(temporary, content);
  if (placed.ok() && ::rename(temporary.c_str(), to.c_str()) != 0)
    placed = absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", to));
  if (!placed.ok()) {
    ::unlink(temporary.c_str());
    return placed;
  }
  return absl::StrCat(to, " is in place\n");
}

absl::StatusOr<std::string> TakeFile(const std::string& path,
                                     const absl::StatusOr<std::string>& status) {
  if (!status.ok()) return absl::StrCat(path, " stays: ", status.status().message(), "\n");
  const auto json = nlohmann::json::parse(*status, nullptr, /*allow_exceptions=*/false);
  const auto gone = json.is_object() ? json.find("gone") : json.end();
  if (gone == json.end() || !gone->is_boolean() || !gone->get<bool>())
    return absl::StrCat(path, " stays: the mesh has not left this node\n");
  std::error_code error;
  if (fs::is_directory(path, error))
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder"));
  const bool removed = fs::remove(path, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot remove ", path, ": ", error.message()));
  return absl::StrCat(path, removed ? " is removed\n" : " is not there\n");
}

}  // namespace heddle::cli
