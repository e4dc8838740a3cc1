// Runs scenarios: sim_test [--seeds A..B] [--fresh N]. A run that breaks an invariant prints its
// seed, which repeats it: sim_test --seeds SEED..SEED.

#include <absl/strings/numbers.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>
#include <vector>

#include "lib/base/frame_allocator.h"
#include "tests/sim/scenario.h"

namespace heddle::sim {
namespace {

struct Seeds {
  uint64_t first = 1;
  uint64_t last = 20;
};

bool ParseNumber(std::string_view text, uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseSeeds(std::string_view text, Seeds& seeds) {
  const size_t dots = text.find("..");
  return dots != std::string_view::npos && ParseNumber(text.substr(0, dots), seeds.first) &&
         ParseNumber(text.substr(dots + 2), seeds.last);
}

bool ParseFresh(std::string_view text, Seeds& seeds) {
  uint64_t count = 0;
  if (!ParseNumber(text, count) || count == 0) return false;
  seeds.first = std::random_device{}();
  seeds.last = seeds.first + count - 1;
  return true;
}

// True when nothing was violated.
bool RunSeed(uint64_t seed, Tally& total) {
  const FrameStats before = ThreadFrameStats();
  std::vector<std::string> violations;
  {
    Scenario scenario(seed);
    scenario.Run();
    violations = scenario.violations();
    total += scenario.tally();
  }
  const FrameStats after = ThreadFrameStats();
  if (after.live != before.live || after.live_bytes != before.live_bytes)
    violations.push_back("coroutine frames are left");
  for (const std::string& violation : violations) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
  }
  return violations.empty();
}

int RunSeeds(const Seeds& seeds) {
  Tally total;
  size_t failed = 0;
  std::printf("seeds %llu..%llu\n", static_cast<unsigned long long>(seeds.first),
              static_cast<unsigned long long>(seeds.last));
  for (uint64_t seed = seeds.first; seed <= seeds.last; ++seed)
    failed += RunSeed(seed, total) ? 0 : 1;
  std::printf(
      "%zu of %llu seeds failed; %llu exchanges, %llu of them complete, %llu bytes, %llu changes\n",
      failed, static_cast<unsigned long long>(seeds.last - seeds.first + 1),
      static_cast<unsigned long long>(total.exchanges),
      static_cast<unsigned long long>(total.complete), static_cast<unsigned long long>(total.bytes),
      static_cast<unsigned long long>(total.changes));
  // Runs in which hardly anything succeeds prove nothing.
  if (total.complete * 4 < total.exchanges) {
    std::printf("too few exchanges were complete\n");
    return 1;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace heddle::sim

int main(int argc, char** argv) {
  heddle::sim::Seeds seeds;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const bool known = (option == "--seeds" && heddle::sim::ParseSeeds(argv[i + 1], seeds)) ||
                       (option == "--fresh" && heddle::sim::ParseFresh(argv[i + 1], seeds));
    if (!known) {
      std::fprintf(stderr, "usage: sim_test [--seeds A..B] [--fresh N]\n");
      return 2;
    }
  }
  return heddle::sim::RunSeeds(seeds);
}
