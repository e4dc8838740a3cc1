#include "controlplane/sources/directory_source.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane/api/decode.h"
#include "controlplane/api/salvage.h"
#include "controlplane/api/yaml.h"
#include "lib/base/executor.h"
#include "lib/io/socket.h"

namespace heddle::controlplane::sources {
namespace {

constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr absl::Duration kPollInterval = absl::Seconds(1);
// The link that kubelet swaps when a mounted ConfigMap changes.
constexpr std::string_view kConfigMapLink = "..data";

absl::Status FromErrno(std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(std::string(what), " ", path));
}

// The text of a regular file, or why it cannot be had.
absl::StatusOr<std::string> ReadText(int directory, const std::string& name) {
  const UniqueFd file(
      openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return FromErrno("cannot open", name);
  struct stat info{};
  if (fstat(file.get(), &info) != 0) return FromErrno("cannot read", name);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("not a regular file");
  // It may grow while it is read, so the size is a guess and the limit is checked again.
  std::string text;
  size_t size = 0;
  while (size <= kMaxFileBytes) {
    text.resize(
        std::max<size_t>(size + 4096, std::min<size_t>(info.st_size + 1, kMaxFileBytes + 1)));
    const ssize_t n = read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno("cannot read", name);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxFileBytes) return absl::ResourceExhaustedError("larger than 16 MiB");
  text.resize(size);
  return text;
}

// A new name that is complete from the start: a link to a file that somebody else has written.
bool IsLink(int directory, const std::string& name) {
  struct stat info{};
  if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return S_ISLNK(info.st_mode) || (S_ISREG(info.st_mode) && info.st_nlink > 1);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

absl::StatusOr<std::set<std::string>> ListFiles(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(path.c_str()));
  if (directory == nullptr) return FromErrno("cannot list", path);
  std::set<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (!IsSourceFile(entry->d_name)) continue;
    if (names.size() == kMaxFiles)
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " has more than ", kMaxFiles, " files"));
    names.insert(entry->d_name);
  }
  if (errno != 0) return FromErrno("cannot list", path);
  return names;
}

}  // namespace

bool IsSourceFile(std::string_view name) {
  return !name.starts_with(".") &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

absl::StatusOr<std::unique_ptr<DirectorySource>> DirectorySource::Open(io::Loop& loop,
                                                                       std::string path) {
  UniqueFd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) return FromErrno("cannot watch", path);
  std::unique_ptr<DirectorySource> source(
      new DirectorySource(loop, std::move(path), std::move(inotify)));
  if (absl::Status status = source->Watch(); !status.ok()) return status;
  return source;
}

absl::Status DirectorySource::Watch() {
  // Watched first, listed afterwards: nothing falls in between.
  const int watch = inotify_add_watch(inotify_.get(), path_.c_str(), kEvents);
  if (watch < 0) return FromErrno("cannot watch", path_);
  directory_ = UniqueFd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_.valid()) return FromErrno("cannot open", path_);
  watch_ = watch;
  read_all_ = true;
  return absl::OkStatus();
}

Task<void> DirectorySource::Run(Event& changed, StopToken stop) {
  while (!stop.requested()) {
    Deadline soon(loop_, stop, kPollInterval);
    const auto ready = co_await io::WaitReady(loop_, fd(), POLLIN, soon.token());
    // Without inotify, by the clock alone.
    if (!ready && !ready.error().stopped()) co_await loop_.Sleep(kPollInterval, stop);
    if (stop.requested()) co_return;
    // Read here, because the descriptor stays ready until somebody does.
    ReadEvents();
    changed.Set();
  }
}

api::StoreDiff DirectorySource::Poll() {
  ReadEvents();
  LookAtPath();
  if (watch_ < 0 && Watch().ok()) changed_ = true;
  if (watch_ >= 0 && std::exchange(read_all_, false)) ReadAll();
  for (const std::string& name : std::exchange(pending_, {})) ReadFile(name);
  api::StoreDiff diff = claims_.TakeDiff();
  if (std::exchange(changed_, false)) {
    problems_ = claims_.Problems();
    if (!directory_problem_.empty())
      problems_.insert(problems_.begin(), {.file = path_,
                                           .reason = directory_problem_,
                                           .effect = api::Problem::Effect::kLastGoodKept});
  }
  return diff;
}

void DirectorySource::ReadEvents() {
  alignas(inotify_event) char buffer[16 * 1024];
  while (true) {
    const ssize_t n = read(inotify_.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      const bool ours = event->wd == watch_ || (event->mask & IN_Q_OVERFLOW) != 0;
      if (ours)
        OnEvent(event->mask, event->len > 0 ? std::string_view(event->name) : std::string_view());
      at += sizeof(inotify_event) + event->len;
    }
  }
}

void DirectorySource::OnEvent(uint32_t mask, std::string_view name) {
  changed_ = true;
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
    LoseDirectory();
  } else if ((mask & IN_Q_OVERFLOW) != 0 || name == kConfigMapLink) {
    read_all_ = true;
  } else if (IsSourceFile(name)) {
    // A file that was just created is read when its writer closes it.
    const std::string file(name);
    if ((mask & IN_CREATE) == 0 || IsLink(directory_.get(), file)) pending_.insert(file);
  }
}

void DirectorySource::LoseDirectory() {
  changed_ = true;
  inotify_rm_watch(inotify_.get(), watch_);  // Of a directory that lives on under another name.
  watch_ = -1;
  directory_problem_ = "the directory is gone";
}

// One that is removed while we hold it open says nothing: IN_DELETE_SELF comes with the last close.
void DirectorySource::LookAtPath() {
  if (watch_ < 0) return;
  struct stat held{};
  struct stat named{};
  const bool same = fstat(directory_.get(), &held) == 0 && stat(path_.c_str(), &named) == 0 &&
                    held.st_dev == named.st_dev && held.st_ino == named.st_ino;
  if (!same) LoseDirectory();
}

void DirectorySource::ReadAll() {
  changed_ = true;
  absl::StatusOr<std::set<std::string>> names = ListFiles(path_);
  if (!names.ok()) {
    directory_problem_ = std::string(names.status().message());
    read_all_ = true;
    return;
  }
  directory_problem_.clear();
  synced_ = true;
  for (const std::string& file : claims_.Files()) pending_.insert(file);
  pending_.merge(*names);
}

void DirectorySource::ReadFile(const std::string& name) {
  changed_ = true;
  absl::StatusOr<std::string> text = ReadText(directory_.get(), name);
  if (absl::IsNotFound(text.status())) return claims_.RemoveFile(name);
  if (!text.ok()) return claims_.SetFileProblem(name, 0, std::string(text.status().message()));
  std::vector<api::Tree> documents;
  const api::YamlError error = api::ParseYaml(*text, documents);
  if (!error.ok()) {
    claims_.SetFileProblem(name, error.line, error.reason);
    if (!claims_.WasGood(name)) claims_.SetSalvage(name, api::SalvageDocuments(*text, name));
    return;
  }
  std::vector<api::Decoded> objects;
  for (const api::Tree& document : documents) {
    for (api::Decoded& decoded : api::DecodeDocument(document, name))
      objects.push_back(std::move(decoded));
  }
  claims_.SetFile(name, std::move(objects));
}

}  // namespace heddle::controlplane::sources
