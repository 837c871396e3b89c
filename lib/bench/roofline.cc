// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/ops.h"
#include "kernels/read_sum.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"

namespace ra::bench {

double read_bandwidth_gb_s(std::size_t bytes, int repeats) {
  AlignedBuffer<std::uint64_t> buffer(bytes / sizeof(std::uint64_t));
  std::fill_n(buffer.data(), buffer.size(), 1u);
  // Small buffers are read several times in a row: the clock alone takes as long as 4 KB.
  const std::size_t passes = std::max<std::size_t>(1, (std::size_t{4} << 20) / bytes);
  constexpr std::size_t kLine = 64 / sizeof(std::uint64_t);
  const std::size_t lines = buffer.size() / kLine;
  const auto workers = static_cast<std::size_t>(threads());
  std::vector<std::uint64_t> sums(workers);
  const kernels::ReadSum read = kernels::read_sum_of(kernels::active_level());
  double best = 0;
  for (int r = 0; r < repeats; ++r) {
    const auto start = std::chrono::steady_clock::now();
    parallel_for(workers, [&](std::size_t i, int) {
      // Parts begin at a cache line.
      const std::size_t begin = lines * i / workers * kLine,
                        end = lines * (i + 1) / workers * kLine;
      for (std::size_t pass = 0; pass < passes; ++pass)
        sums[i] += read(buffer.data() + begin, end - begin);
    });
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    volatile std::uint64_t keep = sums[0];  // the sums must not be optimised away
    (void)keep;
    best = std::max(best, static_cast<double>(bytes * passes) / seconds / 1e9);
  }
  return best;
}

double multiply_peak_tflop_s(bool exact_f32, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kRounds = 2000;  // some tens of microseconds
  const auto workers = static_cast<std::size_t>(threads());
  std::vector<double> rates(workers);
  parallel_for(workers, [&](std::size_t i, int) {
    double operations = 0, passed = 0;
    const auto start = Clock::now();
    do {
      operations += kRounds * kernels::ops().multiply_peak(kRounds, exact_f32);
      passed = std::chrono::duration<double>(Clock::now() - start).count();
    } while (passed < seconds);
    rates[i] = operations / passed / 1e12;
  });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

}  // namespace ra::bench
