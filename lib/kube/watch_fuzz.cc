// What an API server sends: the first byte says whether the rest is a list's page, an error's body,
// or a watch, which comes in pieces of a length that it also says.

#include <cstddef>
#include <cstdint>
#include <set>

#include "lib/base/check.h"
#include "lib/kube/json_cursor.h"
#include "lib/kube/line_splitter.h"
#include "lib/kube/reflector_state.h"

namespace kube = heddle::kube;

namespace {

constexpr size_t kLineBytesMax = 4096;

// Checks that what is told makes sense.
class Mirror : public kube::ObjectSink {
 public:
  void OnObject(const kube::RawObject& object) override {
    CHECK(!object.name.name.empty());
    names_.insert(object.name);
  }
  void OnGone(const kube::ObjectName& name) override { CHECK(names_.erase(name) == 1); }
  size_t size() const { return names_.size(); }

 private:
  std::set<kube::ObjectName> names_;
};

void List(kube::ReflectorState& state, std::string_view body) {
  const std::optional<kube::ListPage> page = kube::ReadListPage(body);
  if (!state.BeginPage(page.has_value() ? &*page : nullptr)) return;
  kube::JsonCursor items(page->items);
  while (items.Next()) state.OnItem(items.value());
  state.EndPage(!items.malformed());
}

void Watch(kube::ReflectorState& state, std::string_view text, size_t step) {
  const heddle::MonotonicTime now;
  kube::LineSplitter lines(kLineBytesMax);
  state.OnWatchOpened(now);
  for (size_t at = 0; at < text.size(); at += step) {
    const std::string_view piece = text.substr(at, step);
    lines.Feed({reinterpret_cast<const uint8_t*>(piece.data()), piece.size()});
    while (const auto line = lines.Next()) {
      CHECK(line->size() <= kLineBytesMax);
      if (!state.OnWatchLine(*line, now)) return state.OnWatchEnded("", now);
    }
    if (!lines.overflow()) continue;
    state.OnWatchLineTooLong(kLineBytesMax);
    break;
  }
  state.OnWatchEnded("", now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  Mirror mirror;
  heddle::SeededRandom random(1);
  kube::ReflectorState state({.paths = {"/api/v1/pods"}, .objects_max = 8}, mirror, random);
  if (data[0] == 'L') {
    List(state, text);
  } else if (data[0] == 'E') {
    state.OnRefused(kube::ReadApiStatus(500, text), {}, {});
  } else {
    const kube::ListPage empty{"1", "", "[]"};
    CHECK(state.BeginPage(&empty));
    state.EndPage(true);
    Watch(state, text, data[0] == 0 ? 1 : data[0]);
  }
  CHECK(mirror.size() == state.objects());
  CHECK(state.Next().path.starts_with("/api/v1/pods?"));
  return 0;
}
