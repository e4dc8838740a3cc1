#include "lib/kube/reflector_state.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace heddle::kube {
namespace {

// Watches that end in errors without having told anything, before the list is trusted no longer.
constexpr uint32_t kFruitlessWatchesMax = 5;
// What a server may make us wait (Retry-After).
constexpr absl::Duration kRetryAfterMax = absl::Minutes(2);
// A watch that lasted as long was a good one, told or not.
constexpr absl::Duration kGoodWatch = absl::Seconds(10);

// Tokens are base64url and versions are numbers, as a rule; both are opaque.
std::string QueryValue(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                       c == '.' || c == '~';
    if (plain) {
      escaped.push_back(c);
    } else {
      absl::StrAppend(&escaped, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return escaped;
}

std::string Selectors(const ReflectorOptions& options) {
  std::string query;
  if (!options.field_selector.empty())
    absl::StrAppend(&query, "&fieldSelector=", QueryValue(options.field_selector));
  if (!options.label_selector.empty())
    absl::StrAppend(&query, "&labelSelector=", QueryValue(options.label_selector));
  return query;
}

}  // namespace

ReflectorState::ReflectorState(ReflectorOptions options, ObjectSink& sink, Random& random)
    : options_(std::move(options)),
      sink_(sink),
      random_(random),
      backoff_(options_.backoff_min, options_.backoff_max),
      page_objects_(options_.page_objects) {
  CHECK(!options_.paths.empty() && page_objects_ > 0);
  StartList();
}

ReflectorState::Action ReflectorState::Next() {
  Action action{.wait = std::exchange(wait_, absl::ZeroDuration()),
                .until_reachable = unreachable_,
                .step = step_,
                .path = path()};
  if (step_ == Step::kList) {
    absl::StrAppend(&action.path, "?limit=", page_objects_, Selectors(options_));
    if (!continue_token_.empty())
      absl::StrAppend(&action.path, "&continue=", QueryValue(continue_token_));
    return action;
  }
  const auto seconds = static_cast<uint64_t>(absl::ToInt64Seconds(options_.watch_time));
  absl::StrAppend(&action.path, "?watch=true&allowWatchBookmarks=true&timeoutSeconds=",
                  seconds + random_.Below(seconds + 1), Selectors(options_),
                  "&resourceVersion=", QueryValue(resource_version_));
  return action;
}

void ReflectorState::StartList() {
  step_ = Step::kList;
  continue_token_.clear();
  ++list_;
}

bool ReflectorState::BeginPage(const ListPage* page) {
  OnAnswer();
  if (page == nullptr) {
    StartList();
    Retry("the server's list cannot be read");
    return false;
  }
  ++stats_.pages;
  page_.resource_version = page->resource_version;
  page_.continue_token = page->continue_token;
  page_trouble_.clear();
  return true;
}

void ReflectorState::OnItem(std::string_view item) {
  const std::optional<RawObject> object = ReadObject(item);
  if (!object.has_value() || object->name.name.empty() || object->resource_version.empty()) {
    page_trouble_ = "the server's list has an entry that is not an object";
  } else if (!Upsert(*object)) {
    page_trouble_ = TooMany();
  }
}

void ReflectorState::EndPage(bool whole) {
  if (!whole) page_trouble_ = "the server's list is not JSON";
  if (!page_trouble_.empty()) {
    // Nothing is told to be gone by a list that was not read whole.
    StartList();
    return Retry(page_trouble_);
  }
  continue_token_ = page_.continue_token;
  if (!continue_token_.empty()) return;
  resource_version_ = page_.resource_version;
  std::vector<ObjectName> gone;
  for (const auto& [name, known] : known_) {
    if (known.list != list_) gone.push_back(name);
  }
  std::ranges::sort(gone);
  for (const ObjectName& name : gone) {
    known_.erase(name);
    sink_.OnGone(name);
  }
  ++stats_.lists;
  step_ = Step::kWatch;
  fruitless_watches_ = 0;
  paths_not_found_ = 0;
  not_found_since_ = MonotonicTime::Infinite();
  phase_ = Phase::kFollowing;
  trouble_.clear();
}

void ReflectorState::OnPageTooLarge() {
  OnAnswer();
  StartList();
  const bool smallest = page_objects_ == 1;
  page_objects_ = std::max(page_objects_ / 2, 1U);
  if (smallest) Retry("the server's list has an object that is larger than we read");
}

bool ReflectorState::Upsert(const RawObject& object) {
  const auto found = known_.find(object.name);
  const bool added = found == known_.end();
  if (added && known_.size() >= options_.objects_max) return false;
  Known& known = added ? known_[object.name] : found->second;
  known.list = list_;
  if (!added && known.resource_version == object.resource_version) return true;
  known.resource_version = object.resource_version;
  sink_.OnObject(object);
  return true;
}

std::string ReflectorState::TooMany() const {
  return absl::StrCat("there are more than ", options_.objects_max, " objects of ", path());
}

void ReflectorState::OnWatchOpened(MonotonicTime now) {
  OnAnswer();
  ++stats_.watches;
  watch_opened_ = now;
  watch_progressed_ = false;
  watch_given_up_ = false;
  trouble_.clear();
}

bool ReflectorState::OnWatchLine(std::string_view line, MonotonicTime now) {
  const std::optional<WatchEvent> event = ReadWatchEvent(line);
  watch_given_up_ = true;
  if (!event.has_value()) {
    StartList();
    Retry("the server's watch has a line that is not an event");
    return false;
  }
  if (event->type == WatchEvent::Type::kError) {
    OnRefused(event->error, absl::ZeroDuration(), now);
    return false;
  }
  const RawObject& object = event->object;
  if (event->type == WatchEvent::Type::kUpsert && !Upsert(object)) {
    StartList();
    Retry(TooMany());
    return false;
  }
  if (event->type == WatchEvent::Type::kDelete && known_.erase(object.name) > 0)
    sink_.OnGone(object.name);
  if (event->type != WatchEvent::Type::kBookmark) ++stats_.events;
  resource_version_ = object.resource_version;
  watch_given_up_ = false;
  watch_progressed_ = true;
  Worked();
  return true;
}

void ReflectorState::OnWatchLineTooLong(size_t bytes_max) {
  watch_given_up_ = true;
  StartList();
  Retry(absl::StrCat("an event of the watch of ", path(), " is longer than ", bytes_max, " bytes"));
}

void ReflectorState::OnWatchEnded(std::string_view error, MonotonicTime now) {
  if (watch_given_up_) return;
  if (now - watch_opened_ >= kGoodWatch) Worked();
  if (!error.empty()) return Retry(error);
  // The server ends watches after their time. One that ends at once would be asked for at once, for
  // ever.
  wait_ =
      watch_progressed_ ? Backoff::Jitter(options_.backoff_min, random_) : backoff_.Next(random_);
}

void ReflectorState::OnRefused(const ApiStatus& status, absl::Duration retry_after,
                               MonotonicTime now) {
  OnAnswer();
  const bool watching = step_ == Step::kWatch;
  const std::string said =
      absl::StrCat("the server answers ", status.code, status.reason.empty() ? "" : " ",
                   status.reason, " to the ", watching ? "watch" : "list", " of ", path(),
                   status.message.empty() ? "" : ": ", status.message);
  if (status.code == 404) return OnNotFound(now);
  if (status.code == 410) return Relist();
  // A list that was refused in the middle begins anew: what its token meant may be gone.
  if (!watching || ++fruitless_watches_ >= kFruitlessWatchesMax) StartList();
  Retry(said, retry_after);
  if (status.code == 403) wait_ = Backoff::Jitter(options_.forbidden_interval, random_);
}

// The version from which to go on, or that of a list in pages, is no longer known. A server that
// says so of the list it just gave is asked slowly.
void ReflectorState::Relist() {
  ++stats_.expired;
  const bool at_once = step_ == Step::kWatch && watch_progressed_;
  watch_progressed_ = false;
  StartList();
  if (!at_once) wait_ = backoff_.Next(random_);
}

void ReflectorState::OnNotFound(MonotonicTime now) {
  StartList();
  if (++paths_not_found_ < options_.paths.size()) {
    path_ = (path_ + 1) % options_.paths.size();
    return;
  }
  paths_not_found_ = 0;
  path_ = 0;
  not_found_since_ = std::min(not_found_since_, now);
  if (!known_.empty() && now - not_found_since_ < options_.absent_confirm) {
    Retry(absl::StrCat("the server does not find ", path(), " any more; the ", known_.size(),
                       " objects of this kind stay until that has lasted ",
                       absl::FormatDuration(options_.absent_confirm)));
    return;
  }
  ForgetAll();
  phase_ = Phase::kAbsent;
  trouble_.clear();
  backoff_.Reset();
  wait_ = Backoff::Jitter(options_.absent_interval, random_);
}

void ReflectorState::ForgetAll() {
  std::vector<ObjectName> gone;
  gone.reserve(known_.size());
  for (const auto& [name, known] : known_) gone.push_back(name);
  std::ranges::sort(gone);
  known_.clear();
  for (const ObjectName& name : gone) sink_.OnGone(name);
}

void ReflectorState::OnFailure(std::string_view error) {
  // A list in pages goes on where it was: its token is good for minutes.
  Retry(error);
  unreachable_ = true;
}

// The server is there: how long it was away says nothing about how it is now.
void ReflectorState::OnAnswer() {
  if (std::exchange(unreachable_, false)) backoff_.Reset();
}

void ReflectorState::Retry(std::string_view trouble, absl::Duration at_least) {
  ++stats_.failures;
  trouble_ = std::string(trouble);
  wait_ = std::max(backoff_.Next(random_), std::min(at_least, kRetryAfterMax));
}

void ReflectorState::Worked() {
  backoff_.Reset();
  fruitless_watches_ = 0;
  trouble_.clear();
}

}  // namespace heddle::kube
