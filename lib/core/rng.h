// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: a stream is keyed by (seed, a, b, c), for example (seed, layer,
// head, item), so results do not depend on the order or the thread in which items are processed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace ra {

class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0)
      : key_(mix(mix(mix(mix(seed) ^ a) ^ b) ^ c)) {}

  std::uint64_t next() { return mix(key_ + kGolden * ++counter_); }
  // Uniform in [0, n), n > 0; the bias is below n / 2^64.
  std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // [0, 1)
  double normal() {  // Box-Muller, one of the pair
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;
  // SplitMix64 finaliser (Steele, Lea and Flood, OOPSLA 2014).
  static std::uint64_t mix(std::uint64_t x) {
    x += kGolden;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  std::uint64_t key_, counter_ = 0;
};

}  // namespace ra
