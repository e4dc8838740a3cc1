#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace heddle {

// Where random numbers come from: the kernel, or a seed in tests. Not for keys: those are BoringSSL's business.
// One instance belongs to one loop.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;

  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  // True with probability numerator / denominator.
  bool OneIn(uint64_t denominator) { return Below(denominator) == 0; }
};

// Seeded from the kernel once.
class SystemRandom final : public Random {
 public:
  SystemRandom()
      : engine_((static_cast<uint64_t>(std::random_device{}()) << 32) ^ std::random_device{}()) {}
  uint64_t Next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

// The same seed gives the same numbers on every machine.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace heddle
