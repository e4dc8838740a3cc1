#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/random.h"
#include "lib/kube/object.h"

namespace heddle::kube {

class ReflectorState;

// Told of the objects of one kind. `object.json` is valid during the call only.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  // New, or another version of it.
  virtual void OnObject(const RawObject& object) = 0;
  virtual void OnGone(const ObjectName& name) = 0;
  // After each answer and each failure: phase() and trouble() may differ.
  virtual void OnState(const ReflectorState&) {}
};

struct ReflectorOptions {
  // Of the collection, in order of preference when the server may serve one of several versions:
  // "/apis/security.istio.io/v1/peerauthentications". Objects must be the same in all of them.
  std::vector<std::string> paths;
  // The sink needs nothing but metadata.
  bool metadata_only = false;
  // Only objects that these select, as a server writes them: "metadata.name=root", "app=web". A role
  // that names one object allows to list and watch it by its name alone.
  std::string field_selector = {};
  std::string label_selector = {};
  // Objects of one page: what clients of Kubernetes ask for; 500 large ones are about 10 MiB.
  uint32_t page_objects = 500;
  absl::Duration backoff_min = absl::Milliseconds(200);
  absl::Duration backoff_max = absl::Seconds(30);
  // How often a kind that is not installed is looked for, and one that we may not read.
  absl::Duration absent_interval = absl::Seconds(10);
  absl::Duration forbidden_interval = absl::Seconds(60);
  // How long a kind that had objects must be not found before they count as gone: a server that
  // starts may not know its custom kinds for a moment, and policies must not vanish for that.
  absl::Duration absent_confirm = absl::Seconds(30);
  // The server ends a watch after this and up to twice as long; then it is resumed.
  absl::Duration watch_time = absl::Minutes(5);
  // More objects of one kind are refused. The largest clusters that Kubernetes supports have
  // 150 000 of a kind; this many are about 100 MiB of names and versions.
  size_t objects_max = 500'000;
};

struct ReflectorStats {
  uint64_t lists = 0;  // Complete ones.
  uint64_t pages = 0;
  uint64_t watches = 0;  // That the server accepted.
  uint64_t events = 0;   // Without bookmarks.
  uint64_t expired = 0;  // 410: relists.
  uint64_t failures = 0;
};

// Follows the objects of one kind, without I/O: says what to do next, takes what came of it, tells
// the sink. The contract is that of Kubernetes' "efficient detection of changes": list in pages,
// watch from the list's version, resume from the last version seen, list again when that is no
// longer known (410), and tell the differences only.
//
//              404 of all paths: absent, asked again
//     kList <----------------------------------------+
//       | last page                                  | 404
//       v                                            |
//     kWatch --end, error: back-off, resume--> kWatch -- 410, unreadable: kList
//
// What the sink was told stays told while the server is away. Memory: name and version of each
// object. Threads: one.
class ReflectorState {
 public:
  ReflectorState(ReflectorOptions options, ObjectSink& sink, Random& random);

  enum class Step : uint8_t { kList, kWatch };
  struct Action {
    absl::Duration wait;  // Before it.
    // There was no answer: the wait may end as soon as the server can be reached.
    bool until_reachable = false;
    Step step = Step::kList;
    std::string path;  // With the query.
  };
  // What to do next. Asks for nothing twice: call it once for each result below.
  Action Next();

  // A page arrived. After BeginPage, give its items one by one to OnItem, then EndPage, which is
  // told whether that was possible to the end; a page that is given up (a stop) needs no end.
  // False: it was not a page; the failure is noted.
  bool BeginPage(const ListPage* page);
  void OnItem(std::string_view item);
  void EndPage(bool whole);
  // The page is larger than we read: smaller ones from now on.
  void OnPageTooLarge();

  void OnWatchOpened(MonotonicTime now);
  // False: give this watch up.
  bool OnWatchLine(std::string_view line, MonotonicTime now);
  // The same for one that is longer than we read: the list may have a shorter way to say it.
  void OnWatchLineTooLong(size_t bytes_max);
  // The watch that was opened has ended; `error` is empty for an orderly end.
  void OnWatchEnded(std::string_view error, MonotonicTime now);

  // An answer other than 200 to a list or a watch.
  void OnRefused(const ApiStatus& status, absl::Duration retry_after, MonotonicTime now);
  // No answer: a sentence.
  void OnFailure(std::string_view error);

  enum class Phase : uint8_t {
    kStarting,   // Not yet listed.
    kFollowing,  // All objects have been told once.
    kAbsent,     // The server does not have this kind.
  };
  Phase phase() const { return phase_; }
  // Everything there was has been told once.
  bool synced() const { return phase_ != Phase::kStarting; }
  // What keeps us from following, for people; empty when nothing does.
  const std::string& trouble() const { return trouble_; }
  size_t objects() const { return known_.size(); }
  const ReflectorOptions& options() const { return options_; }
  // The longest time for which a watch is asked.
  absl::Duration watch_time_max() const { return 2 * options_.watch_time; }
  const std::string& path() const { return options_.paths[path_]; }
  const std::string& resource_version() const { return resource_version_; }
  const ReflectorStats& stats() const { return stats_; }

 private:
  struct Known {
    std::string resource_version;
    uint32_t list = 0;  // The last list that had it.
  };

  void StartList();
  bool Upsert(const RawObject& object);
  std::string TooMany() const;
  void Retry(std::string_view trouble, absl::Duration at_least = absl::ZeroDuration());
  void Relist();
  void OnAnswer();
  void OnNotFound(MonotonicTime now);
  void ForgetAll();
  void Worked();

  const ReflectorOptions options_;
  ObjectSink& sink_;
  Random& random_;
  Backoff backoff_;
  Phase phase_ = Phase::kStarting;
  Step step_ = Step::kList;
  absl::Duration wait_;
  bool unreachable_ = false;  // The last request had no answer.
  size_t path_ = 0;
  size_t paths_not_found_ = 0;
  MonotonicTime not_found_since_ = MonotonicTime::Infinite();
  uint32_t page_objects_;
  uint32_t list_ = 0;
  ListPage page_;  // Its items are not kept.
  std::string page_trouble_;
  std::string continue_token_;
  std::string resource_version_;
  MonotonicTime watch_opened_;
  bool watch_progressed_ = false;
  bool watch_given_up_ = false;
  uint32_t fruitless_watches_ = 0;
  absl::flat_hash_map<ObjectName, Known> known_;
  std::string trouble_;
  ReflectorStats stats_;
};

}  // namespace heddle::kube
