// SPDX-License-Identifier: Apache-2.0
// Eight independent sums keep enough loads in flight.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/unroll.h"
#include "kernels/read_sum.h"

namespace ra::kernels {
namespace {

// V: as many numbers as a register of the level holds.
template <class V>
std::uint64_t read_sum_lanes(const std::uint64_t* p, std::size_t n) {
  constexpr std::size_t kSums = 8, kLanes = sizeof(V) / sizeof(std::uint64_t);
  V sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums * kLanes <= n; i += kSums * kLanes) {
    RA_UNROLL(8)
    for (std::size_t j = 0; j < kSums; ++j)
      sums[j] += *reinterpret_cast<const V*>(p + i + j * kLanes);
  }
  std::uint64_t total = 0;
  for (const V& s : sums)
    for (std::size_t lane = 0; lane < kLanes; ++lane) total += s[lane];
  for (; i < n; ++i) total += p[i];
  return total;
}

}  // namespace
}  // namespace ra::kernels
