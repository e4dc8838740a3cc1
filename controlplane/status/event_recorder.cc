#include "controlplane/status/event_recorder.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "controlplane/status/leader_election.h"
#include "lib/base/log.h"
#include "lib/base/strings.h"
#include "lib/kube/write_request.h"

namespace heddle::controlplane::status {
namespace {

using Json = nlohmann::json;

constexpr char kFieldManager[] = "heddle-controller";
constexpr char kReporter[] = "heddle.io/controller";
// Nobody reads more, and an API server keeps them for an hour only.
constexpr double kPerSecond = 5;
constexpr double kBurst = 25;
constexpr size_t kMaxWaiting = 1024;
// Counts of older ones begin anew.
constexpr size_t kMaxCounts = 4096;
constexpr size_t kMaxNoteBytes = 1024;     // The API's limit.
constexpr size_t kMaxInstanceBytes = 128;  // The API's limit.
constexpr size_t kMaxNameBytes = 253;

// FNV-1a: the same in all controllers.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::string MicroTime(const Clock& clock) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", clock.Wall(), absl::UTCTimeZone());
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

metrics::Description Described(const char* result) {
  return {.name = "heddle_controller_events",
          .help = "Kubernetes Events about objects and pods.",
          .labels = {{"result", result}}};
}

}  // namespace

std::string EventName(const Occurrence& occurrence) {
  // What an agent says of a pod may be another sentence each time; its condition has the newest.
  const bool pod = occurrence.object.kind == api::Kind::kPod;
  const std::string hash = absl::StrFormat(
      ".%016x", HashOf(absl::StrCat(occurrence.uid, "\n", occurrence.reason, "\n",
                                    pod ? std::string() : occurrence.note)));
  std::string name = occurrence.object.name.name.substr(0, kMaxNameBytes - hash.size());
  while (!name.empty() && !absl::ascii_isalnum(static_cast<unsigned char>(name.back())))
    name.pop_back();
  return name + hash;
}

EventRecorder::EventRecorder(Parts parts)
    : parts_(std::move(parts)),
      limit_(kPerSecond, kBurst),
      added_(parts_.loop),
      written_(parts_.registry, Described("written")),
      failed_(parts_.registry, Described("failed")),
      dropped_(parts_.registry, Described("dropped")) {}

void EventRecorder::Record(Occurrence occurrence) {
  if (queue_.size() == kMaxWaiting) {
    queue_.pop_front();
    dropped_.Add();
  }
  if (occurrence.note.size() > kMaxNoteBytes) occurrence.note.resize(kMaxNoteBytes);
  queue_.push_back(std::move(occurrence));
  added_.NotifyAll();
}

Task<void> EventRecorder::Run(StopToken stop) {
  while (!stop.requested()) {
    if (queue_.empty()) {
      (void)co_await added_.Wait(stop);
      continue;
    }
    const absl::Duration wait = limit_.Take(parts_.loop.Now());
    if (wait > absl::ZeroDuration()) {
      (void)co_await parts_.loop.Sleep(wait, stop);
      continue;
    }
    Occurrence occurrence = std::move(queue_.front());
    queue_.pop_front();
    if (parts_.may_write()) {
      co_await Write(std::move(occurrence), stop);
    } else {
      dropped_.Add();
    }
  }
}

Task<void> EventRecorder::Write(Occurrence occurrence, StopToken stop) {
  const std::string& name_space = occurrence.object.name.name_space;
  const std::string collection = absl::StrCat(
      "/apis/events.k8s.io/v1/namespaces/", name_space.empty() ? "default" : name_space, "/events");
  Deadline patience(parts_.loop, stop, kLeaderWriteTimeout);
  if (!co_await Create(occurrence, collection, patience.token()))
    co_await CountAgain(occurrence, collection, patience.token());
}

// False when it has been said before.
Task<bool> EventRecorder::Create(const Occurrence& occurrence, const std::string& collection,
                                 StopToken stop) {
  const api::ObjectKey& key = occurrence.object;
  const Json regarding = {{"apiVersion", occurrence.api_version},
                          {"kind", std::string(api::ToString(key.kind))},
                          {"namespace", key.name.name_space},
                          {"name", key.name.name},
                          {"uid", occurrence.uid}};
  const Json metadata = {{"name", EventName(occurrence)}, {"namespace", key.name.name_space}};
  const Json event = {{"apiVersion", "events.k8s.io/v1"},
                      {"kind", "Event"},
                      {"metadata", metadata},
                      {"eventTime", MicroTime(parts_.loop.clock())},
                      {"reportingController", kReporter},
                      {"reportingInstance", parts_.instance.substr(0, kMaxInstanceBytes)},
                      {"action", "Judge"},
                      {"reason", occurrence.reason},
                      {"regarding", regarding},
                      {"note", occurrence.note},
                      {"type", occurrence.warning ? "Warning" : "Normal"}};
  const kube::ApiRequest request = kube::CreateRequest(collection, Dump(event), kFieldManager);
  const auto answer = co_await parts_.client.Call(request, stop);
  if (answer.ok() && answer->status == 409) co_return false;
  if (answer.ok() && answer->status / 100 == 2) {
    written_.Add();
    trouble_said_ = false;
    co_return true;
  }
  failed_.Add();
  if (!std::exchange(trouble_said_, true)) {
    LOG_WARN("event.failed", KV("object", key.ToString()),
             KV("reason", answer.ok() ? kube::StatusOf(request, *answer) : answer.status()));
  }
  co_return true;
}

Task<void> EventRecorder::CountAgain(const Occurrence& occurrence, const std::string& collection,
                                     StopToken stop) {
  const std::string name = EventName(occurrence);
  if (counts_.size() >= kMaxCounts) counts_.clear();
  // At least twice: it was there.
  int& count = counts_.try_emplace(name, 1).first->second;
  const Json series = {{"count", ++count}, {"lastObservedTime", MicroTime(parts_.loop.clock())}};
  const kube::ApiRequest request = kube::MergePatchRequest(
      absl::StrCat(collection, "/", name), Dump({{"series", series}}), kFieldManager);
  const auto answer = co_await parts_.client.Call(request, stop);
  if (answer.ok() && answer->status / 100 == 2) {
    written_.Add();
  } else {
    failed_.Add();
  }
}

}  // namespace heddle::controlplane::status
