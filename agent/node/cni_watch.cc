#include "agent/node/cni_watch.h"

#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "agent/node/cni_conf_directory.h"

namespace heddle::agent {
namespace {

constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
                             IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

bool Matters(const inotify_event& event) {
  if (event.len == 0) return true;
  return !std::string_view(event.name).starts_with(kCniTemporaryPrefix);
}

}  // namespace

CniWatch::CniWatch(std::vector<std::string> directories)
    : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  for (std::string& path : directories) directories_.push_back({std::move(path), -1});
}

void CniWatch::Refresh() {
  for (Directory& directory : directories_) {
    // The same directory keeps its number, another one at the same path gets one of its own.
    const int watch = ::inotify_add_watch(inotify_.get(), directory.path.c_str(), kEvents);
    if (directory.watch >= 0 && directory.watch != watch)
      ::inotify_rm_watch(inotify_.get(), directory.watch);
    directory.watch = watch;
  }
}

bool CniWatch::complete() const {
  return std::ranges::all_of(directories_, [](const Directory& it) { return it.watch >= 0; });
}

bool CniWatch::Drain() {
  bool matters = false;
  alignas(inotify_event) char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::read(inotify_.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return matters;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      matters = matters || Matters(*event);
      at += sizeof(inotify_event) + event->len;
    }
  }
}

}  // namespace heddle::agent
