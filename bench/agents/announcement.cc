#include "bench/agents/announcement.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace heddle::bench {
namespace {

constexpr absl::Duration kColdMax = absl::Seconds(300);
// From one change to the next: somebody may take their time.
constexpr absl::Duration kChangeMax = absl::Seconds(120);

void Say(const nlohmann::json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

class Announcement {
 public:
  Announcement(io::Loop& loop, const AnnouncementOptions& options)
      : loop_(loop), options_(options), fleet_(loop, options.fleet) {}

  Task<void> Run() {
    Scope scope(loop_);
    done_ = co_await Announce(scope);
    if (!done_) {
      Say({{"error",
            fleet_.failure().empty() ? "waited too long for all agents" : fleet_.failure()}});
    }
    co_await scope.Drain();
  }
  bool done() const { return done_; }

 private:
  Task<bool> Announce(Scope& scope) {
    const MonotonicTime began = loop_.clock().Monotonic();
    fleet_.Start(scope);
    Deadline cold(loop_, {}, kColdMax);
    if (!co_await fleet_.AwaitEverything(cold.token())) co_return false;
    nlohmann::json line = {{"connected", absl::ToDoubleSeconds(loop_.clock().Monotonic() - began)}};
    for (size_t change = 0; change < options_.changes; ++change) {
      fleet_.Expect(change % 2 == 1);
      Say(line);
      Deadline soon(loop_, {}, kChangeMax);
      if (!co_await fleet_.AwaitEffective(soon.token())) co_return false;
      line = {{"at", nlohmann::json::array()}};
      for (const MonotonicTime at : fleet_.effective()) line["at"].push_back(at.nanoseconds());
    }
    Say(line);
    co_return true;
  }

  io::Loop& loop_;
  const AnnouncementOptions& options_;
  Fleet fleet_;
  bool done_ = false;
};

}  // namespace

int RunAnnouncement(const AnnouncementOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Announcement announcement(loop, options);
  loop.RunUntilDone(announcement.Run());
  return announcement.done() ? 0 : 1;
}

}  // namespace heddle::bench
