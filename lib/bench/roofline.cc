// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"

namespace ra::bench {
namespace {

// Eight independent sums keep enough loads in flight; the compiler turns each into a vector.
std::uint64_t sum_of(const std::uint64_t* p, std::size_t n) {
  std::uint64_t s[8] = {};
  for (std::size_t i = 0; i + 8 <= n; i += 8)
    for (std::size_t j = 0; j < 8; ++j) s[j] += p[i + j];
  return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

}  // namespace

double read_bandwidth_gb_s(std::size_t bytes, int repeats) {
  AlignedBuffer<std::uint64_t> buffer(bytes / sizeof(std::uint64_t));
  std::fill_n(buffer.data(), buffer.size(), 1u);
  const auto workers = static_cast<std::size_t>(threads());
  std::vector<std::uint64_t> sums(workers);
  double best = 0;
  for (int r = 0; r < repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(workers, [&](std::size_t i, int) {
      const std::size_t begin = buffer.size() * i / workers,
                        end = buffer.size() * (i + 1) / workers;
      sums[i] = sum_of(buffer.data() + begin, end - begin);
    });
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    volatile std::uint64_t keep = sums[0];  // the sums must not be optimised away
    (void)keep;
    best = std::max(best, static_cast<double>(bytes) / seconds / 1e9);
  }
  return best;
}

double multiply_peak_tflop_s(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kRounds = 2000;  // some tens of microseconds
  const auto workers = static_cast<std::size_t>(threads());
  std::vector<double> rates(workers);
  parallel_for(workers, [&](std::size_t i, int) {
    double operations = 0, passed = 0;
    const auto start = Clock::now();
    do {
      operations += kRounds * kernels::ops().multiply_peak(kRounds);
      passed = std::chrono::duration<double>(Clock::now() - start).count();
    } while (passed < seconds);
    rates[i] = operations / passed / 1e12;
  });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

}  // namespace ra::bench
