// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/cache_sweep.h"

#include <algorithm>
#include <atomic>

#include "kernels/level.h"
#include "kernels/read_sum.h"
#include "lib/core/parallel.h"

namespace ra::bench {

CacheSweep::CacheSweep(std::size_t bytes) : buffer_(bytes / sizeof(std::uint64_t)) {
  std::fill_n(buffer_.data(), buffer_.size(), 1u);
}

std::uint64_t CacheSweep::run() const {
  constexpr std::size_t kPart = 8192;  // a multiple of a cache line
  const kernels::ReadSum read = kernels::read_sum_of(kernels::active_level());
  std::atomic<std::uint64_t> sum = 0;
  parallel_for((buffer_.size() + kPart - 1) / kPart, [&](std::size_t i, int) {
    sum += read(buffer_.data() + i * kPart, std::min(kPart, buffer_.size() - i * kPart));
  });
  return sum;
}

}  // namespace ra::bench
