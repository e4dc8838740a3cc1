#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "lib/base/check.h"

namespace heddle {

// A directory of a test's own, gone with it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "heddle-test-XXXXXX").string();
    CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  std::string Read(std::string_view name) const {
    std::ifstream file(*this / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  void Write(std::string_view name, std::string_view contents, mode_t mode = 0600) const {
    std::ofstream(*this / name) << contents;
    CHECK(::chmod((*this / name).c_str(), mode) == 0);
  }
  // By rename, so that nobody sees half a file.
  void Replace(std::string_view name, std::string_view contents) const {
    Write(".replacement", contents);
    std::filesystem::rename(*this / ".replacement", *this / name);
  }
  mode_t ModeOf(std::string_view name) const {
    struct stat info{};
    CHECK(::stat((*this / name).c_str(), &info) == 0);
    return info.st_mode & 07777;
  }

 private:
  std::string path_;
};

}  // namespace heddle
