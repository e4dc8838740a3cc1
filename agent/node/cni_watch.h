#pragma once

#include <string>
#include <vector>

#include "lib/base/unique_fd.h"

namespace heddle::agent {

// Tells when something happens in directories that may come and go (inotify(7)). What it misses (a
// directory that is not there yet, the file that a link leads to) is for whoever looks from time to
// time. One thread.
class CniWatch {
 public:
  explicit CniWatch(std::vector<std::string> directories);

  // Readable when there are events; -1 when the kernel gives no more watchers.
  int fd() const { return inotify_.get(); }
  // Watches those of the directories that are there now. Before one looks into them.
  void Refresh();
  // Whether all of them were there then.
  bool complete() const;
  // Takes the events; true when one is of another's doing, as far as names say.
  bool Drain();

 private:
  struct Directory {
    std::string path;
    int watch = -1;
  };
  UniqueFd inotify_;
  std::vector<Directory> directories_;
};

}  // namespace heddle::agent
