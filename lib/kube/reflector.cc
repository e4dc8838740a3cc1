#include "lib/kube/reflector.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/strings.h"
#include "lib/kube/json_cursor.h"

namespace heddle::kube {
namespace {

// No turn of a loop takes longer than 2 ms.
constexpr absl::Duration kSlice = absl::Milliseconds(1);
// An error's body.
constexpr size_t kMaxErrorBytes = size_t{64} * 1024;
// Beyond the time for which the server was asked to keep a watch: then it has forgotten.
constexpr absl::Duration kWatchGrace = absl::Minutes(1);

// A server that cannot leave the rest out answers with all of it.
std::string Accept(bool metadata_only, const char* type) {
  constexpr char kJson[] = "application/json";
  return metadata_only ? absl::StrCat(kJson, ";as=", type, ";g=meta.k8s.io;v=v1,", kJson) : kJson;
}

}  // namespace

Reflector::Reflector(io::Loop& loop, ApiClient& client, ReflectorOptions options, ObjectSink& sink,
                     Random& random)
    : loop_(loop), client_(client), state_(std::move(options), sink, random), sink_(sink) {}

Task<void> Reflector::Run(StopToken stop) {
  while (!stop.requested()) {
    ReflectorState::Action action = state_.Next();
    if (action.until_reachable) {
      if (!co_await client_.AwaitConnection(action.wait, stop)) co_return;
    } else if (action.wait > absl::ZeroDuration()) {
      if (!co_await loop_.Sleep(action.wait, stop)) co_return;
    }
    if (action.step == ReflectorState::Step::kList) {
      co_await List(std::move(action.path), stop);
    } else {
      co_await Watch(std::move(action.path), stop);
    }
    sink_.OnState(state_);
  }
}

Task<void> Reflector::List(std::string path, StopToken stop) {
  ApiRequest request{.path = std::move(path),
                     .accept = Accept(state_.options().metadata_only, "PartialObjectMetadataList")};
  const absl::StatusOr<ApiAnswer> answer = co_await client_.Call(std::move(request), stop);
  if (stop.requested()) co_return;
  if (absl::IsResourceExhausted(answer.status())) co_return state_.OnPageTooLarge();
  if (!answer.ok()) co_return state_.OnFailure(ToStd(answer.status().message()));
  if (answer->status != 200) {
    const ApiStatus status = ReadApiStatus(answer->status, answer->body);
    co_return state_.OnRefused(status, answer->retry_after, loop_.Now());
  }
  const std::optional<ListPage> page = ReadListPage(answer->body);
  if (state_.BeginPage(page.has_value() ? &*page : nullptr)) co_await TakePage(*page);
}

Task<void> Reflector::TakePage(const ListPage& page) {
  slice_began_ = loop_.Now();
  JsonCursor items(page.items);
  while (items.Next()) {
    state_.OnItem(items.value());
    co_await YieldWhenLong();
  }
  state_.EndPage(!items.malformed());
}

Task<void> Reflector::YieldWhenLong() {
  if (loop_.Now() - slice_began_ < kSlice) co_return;
  co_await loop_.Yield();
  slice_began_ = loop_.Now();
}

Task<void> Reflector::Watch(std::string path, StopToken stop) {
  ApiRequest request{.path = std::move(path),
                     .accept = Accept(state_.options().metadata_only, "PartialObjectMetadata")};
  const absl::Duration time = state_.watch_time_max() + kWatchGrace;
  auto opened = co_await client_.Open(std::move(request), time, stop);
  if (stop.requested()) co_return;
  if (!opened.ok()) co_return state_.OnFailure(ToStd(opened.status().message()));
  ApiStream& stream = **opened;
  if (stream.status() != 200) {
    const absl::StatusOr<std::string> body = co_await stream.ReadAll(kMaxErrorBytes);
    const ApiStatus status = ReadApiStatus(stream.status(), body.ok() ? *body : "");
    co_return state_.OnRefused(status, stream.retry_after(), loop_.Now());
  }
  state_.OnWatchOpened(loop_.Now());
  sink_.OnState(state_);
  const std::string failure = co_await Follow(stream);
  if (!stop.requested()) state_.OnWatchEnded(failure, loop_.Now());
}

// Until the watch ends; why, when that was not in order.
Task<std::string> Reflector::Follow(ApiStream& stream) {
  LineSplitter lines(kMaxEventBytes);
  while (true) {
    const absl::StatusOr<io::Buffer> read = co_await stream.Read();
    if (!read.ok()) co_return std::string(read.status().message());
    if (read->empty()) co_return "";
    lines.Feed(read->bytes());
    if (!co_await TakeLines(lines)) co_return "";
    if (!lines.overflow()) continue;
    state_.OnWatchLineTooLong(kMaxEventBytes);
    co_return "";
  }
}

// False when the watch is of no more use.
Task<bool> Reflector::TakeLines(LineSplitter& lines) {
  slice_began_ = loop_.Now();
  while (const auto line = lines.Next()) {
    if (!state_.OnWatchLine(*line, loop_.Now())) co_return false;
    co_await YieldWhenLong();
  }
  co_return true;
}

}  // namespace heddle::kube
