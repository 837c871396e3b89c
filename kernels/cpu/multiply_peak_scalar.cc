// SPDX-License-Identifier: Apache-2.0
#include "kernels/multiply_peak.h"

namespace ra::kernels {

template <>
double multiply_peak<Level::kScalar>(std::size_t rounds) noexcept {
  constexpr std::size_t kSums = 8;
  float sums[kSums] = {}, a = 1, b = 0.5f;
  asm volatile("" : "+x"(a), "+x"(b));  // not constants
  for (std::size_t r = 0; r < rounds; ++r) {
    for (float& s : sums) s = s * a + b;
    asm volatile("" : : : "memory");
  }
  for (float s : sums) asm volatile("" : : "x"(s));
  return 2 * kSums;
}

}  // namespace ra::kernels
