#include "agent/node/cni_conf_directory.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/cni/json.h"

namespace heddle::agent {
namespace {

using Verdict = ChainEdit::Verdict;

// One writer, one name: what a crash leaves is taken by the next.
constexpr char kTemporary[] = ".heddle-cni-conf.tmp";
static_assert(std::string_view(kTemporary).starts_with(kCniTemporaryPrefix));

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

struct ConfFile {
  std::string text;
  struct stat info{};
};

absl::Status Failure(const std::string& what) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what));
}

absl::StatusOr<std::vector<std::string>> ListConfFiles(const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (directory == nullptr) return Failure("list");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (!CniFileKindOf(name) || entry->d_type == DT_DIR) continue;
    if (names.size() == kMaxCniFiles)
      return absl::ResourceExhaustedError(absl::StrCat("more than ", kMaxCniFiles, " files"));
    names.push_back(name);
  }
  if (errno != 0) return Failure("list");
  std::ranges::sort(names);
  return names;
}

// NOT_FOUND, FAILED_PRECONDITION for what is no file a runtime could read, or OUT_OF_RANGE.
absl::StatusOr<ConfFile> ReadConf(int directory, const std::string& name) {
  // A pipe with nobody at its other end must not hold us.
  const UniqueFd fd(
      ::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return Failure("be opened");
  ConfFile file;
  if (::fstat(fd.get(), &file.info) != 0) return Failure("be read");
  if (!S_ISREG(file.info.st_mode)) return absl::FailedPreconditionError("is not a regular file");
  constexpr size_t kBlock = 16384;
  while (file.text.size() <= cni::kMaxJsonBytes) {
    const size_t length = file.text.size();
    file.text.resize(length + kBlock);
    const ssize_t got = TEMP_FAILURE_RETRY(::read(fd.get(), file.text.data() + length, kBlock));
    if (got < 0) return Failure("be read");
    file.text.resize(length + static_cast<size_t>(got));
    if (got == 0) return file;
  }
  return absl::OutOfRangeError("is longer than 1 MiB");
}

// What a file that cannot be read means. A runtime passes over what is no file, too; it may see what
// is hidden from us, behind a link (it may have another root) or for want of a permission.
ChainEdit WithoutText(int directory, const std::string& name, const absl::Status& status) {
  struct stat link{};
  const bool is_link =
      ::fstatat(directory, name.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
  if (is_link && absl::IsNotFound(status))
    return {Verdict::kBlocked, "", "is a link to what the agent cannot see"};
  const bool no_file = absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
  return {no_file ? Verdict::kSkip : Verdict::kBlocked, "", std::string(status.message())};
}

absl::Status FillAs(int fd, std::string_view text, const struct stat& like) {
  while (!text.empty()) {
    const ssize_t written = TEMP_FAILURE_RETRY(::write(fd, text.data(), text.size()));
    if (written < 0) return Failure("write the new file");
    text.remove_prefix(static_cast<size_t>(written));
  }
  struct stat ours{};
  if (::fstat(fd, &ours) != 0) return Failure("look at the new file");
  // Only where it changes anything: an agent without CAP_CHOWN may not even try.
  const bool owned = ours.st_uid == like.st_uid && ours.st_gid == like.st_gid;
  if (!owned && ::fchown(fd, like.st_uid, like.st_gid) != 0)
    return Failure("keep the file's owner");
  if (::fchmod(fd, like.st_mode & 0777) != 0) return Failure("keep the file's mode");
  // A node that comes up with an empty configuration has no network at all.
  if (TEMP_FAILURE_RETRY(::fsync(fd)) != 0) return Failure("sync the new file");
  return absl::OkStatus();
}

// One replacement: `text` comes under `to` for what `from` was when it was read.
struct Replacement {
  std::string from;
  std::string to;
  const ConfFile& read;
  std::string_view text;
};

absl::Status Replace(int directory, const Replacement& replacement) {
  ::unlinkat(directory, kTemporary, 0);
  const UniqueFd fd(
      ::openat(directory, kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return Failure("create a file in the directory");
  absl::Status status = FillAs(fd.get(), replacement.text, replacement.read.info);
  if (status.ok()) {
    const auto now = ReadConf(directory, replacement.from);
    if (!now.ok() || now->text != replacement.read.text)
      status = absl::AbortedError("another program is writing it");
  }
  if (status.ok() && ::renameat(directory, kTemporary, directory, replacement.to.c_str()) != 0)
    status = Failure("rename the new file");
  if (!status.ok()) {
    ::unlinkat(directory, kTemporary, 0);
    return status;
  }
  if (replacement.to != replacement.from && ::unlinkat(directory, replacement.from.c_str(), 0) != 0)
    status = Failure("remove what the list replaces");
  TEMP_FAILURE_RETRY(::fsync(directory));
  return status;
}

// The list that a single plugin's file becomes may be there: of us, from a start that was cut off or
// before somebody put the single file back, or of another.
bool MayTakeName(int directory, const std::string& single) {
  const auto there = ReadConf(directory, LiftedName(single));
  if (there.ok()) return IsLiftOf(there->text, single);
  return absl::IsNotFound(there.status());
}

absl::Status Apply(int directory, const std::string& name, const ConfFile& file,
                   std::string_view text) {
  const bool lift = CniFileKindOf(name) == CniFileKind::kSingle;
  if (lift && !MayTakeName(directory, name))
    return absl::AlreadyExistsError(
        absl::StrCat("cannot become ", LiftedName(name), ", which is there; remove one of them"));
  return Replace(directory,
                 {.from = name, .to = lift ? LiftedName(name) : name, .read = file, .text = text});
}

// False when the file is none that a runtime loads: then the next one counts.
bool InstallInto(int directory, const std::string& name, const CniEntry& entry, CniMode mode,
                 CniConfReport& report) {
  const auto file = ReadConf(directory, name);
  const ChainEdit edit = file.ok() ? InsertEntry({name, file->text}, entry)
                                   : WithoutText(directory, name, file.status());
  if (edit.verdict == Verdict::kSkip) {
    report.skipped.push_back(absl::StrCat(name, " ", edit.reason));
    return false;
  }
  report.file = name;
  if (edit.verdict == Verdict::kUnchanged) report.installed = true;
  if (edit.verdict == Verdict::kBlocked)
    report.pending = absl::StrCat(name, ", which the runtime may use, ", edit.reason);
  if (edit.verdict != Verdict::kWrite) return true;
  if (mode == CniMode::kLook) {
    report.pending = absl::StrCat(name, " has no entry of Heddle, or an old one");
    return true;
  }
  const absl::Status applied = Apply(directory, name, *file, edit.text);
  report.installed = report.written = applied.ok();
  if (!applied.ok())
    report.pending = absl::StrCat(name, ": ", std::string(applied.message()));
  else if (CniFileKindOf(name) == CniFileKind::kSingle)
    report.file = LiftedName(name);
  return true;
}

}  // namespace

CniConfReport InstallCniEntry(const std::string& directory, const CniEntry& entry, CniMode mode) {
  CniConfReport report;
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    report.pending = absl::StrCat("there is no directory ", directory, " yet");
    return report;
  }
  const auto names = ListConfFiles(directory);
  if (!names.ok()) {
    report.pending = absl::StrCat(directory, ": ", std::string(names.status().message()));
    return report;
  }
  for (const std::string& name : *names) {
    if (InstallInto(fd.get(), name, entry, mode, report)) return report;
  }
  report.pending = absl::StrCat("there is no valid configuration in ", directory, " yet");
  return report;
}

std::vector<std::string> FindCniEntries(const std::string& directory) {
  std::vector<std::string> found;
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return found;
  const auto names = ListConfFiles(directory);
  if (!names.ok()) return found;
  for (const std::string& name : *names) {
    if (CniFileKindOf(name) != CniFileKind::kList) continue;
    const auto file = ReadConf(fd.get(), name);
    if (!file.ok()) continue;
    const Verdict verdict = RemoveEntry(file->text).verdict;
    if (verdict == Verdict::kWrite ||
        (verdict == Verdict::kBlocked && file->text.contains(kCniPluginName)))
      found.push_back(absl::StrCat(directory, "/", name));
  }
  return found;
}

absl::Status RemoveCniEntries(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return absl::OkStatus();
  if (!fd.valid()) return Annotate(Failure("open"), directory);
  ::unlinkat(fd.get(), kTemporary, 0);
  TRY_ASSIGN(const std::vector<std::string> names, ListConfFiles(directory));
  std::vector<std::string> problems;
  for (const std::string& name : names) {
    if (CniFileKindOf(name) != CniFileKind::kList) continue;
    const auto file = ReadConf(fd.get(), name);
    if (!file.ok()) continue;
    const ChainEdit edit = RemoveEntry(file->text);
    absl::Status done;
    if (edit.verdict == Verdict::kWrite) done = Apply(fd.get(), name, *file, edit.text);
    if (edit.verdict == Verdict::kBlocked && file->text.contains(kCniPluginName))
      done = absl::FailedPreconditionError(edit.reason);
    if (!done.ok()) problems.push_back(absl::StrCat(name, ": ", std::string(done.message())));
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InternalError(absl::StrJoin(problems, "; "));
}

}  // namespace heddle::agent
