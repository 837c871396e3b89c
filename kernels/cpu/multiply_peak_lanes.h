// SPDX-License-Identifier: Apache-2.0
// Twelve independent chains hide the latency of two FMA units of 4 to 6 cycles, and of a product
// and a sum of 4 each.
#pragma once

#include <cstddef>

#include "kernels/cpu/unroll.h"
#include "kernels/multiply_peak.h"

namespace ra::kernels {
namespace {

inline constexpr std::size_t kSums = 12;

template <class S>
double multiply_peak_lanes(std::size_t rounds) {
  typename S::V sums[kSums], a = S::set1(1), b = S::set1(0.5f);
  asm volatile("" : "+v"(a), "+v"(b));  // not constants
  RA_UNROLL(12)                         // or the sums would live in memory
  for (std::size_t i = 0; i < kSums; ++i) sums[i] = S::zero();
  for (std::size_t r = 0; r < rounds; ++r) {
    RA_UNROLL(12)
    for (std::size_t i = 0; i < kSums; ++i) {
      sums[i] = S::fma(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));  // each product of each round is made
    }
  }
  return 2.0 * kSums * S::kLanes;
}

}  // namespace
}  // namespace ra::kernels
