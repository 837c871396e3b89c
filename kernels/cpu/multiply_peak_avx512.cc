// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/multiply_peak_lanes.h"
#include "kernels/cpu/simd_avx512.h"

namespace ra::kernels {
namespace {

double multiply_peak_pairs(std::size_t rounds) {
  auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));  // 1
  auto b = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f00));  // 0.5
  asm volatile("" : "+v"(a), "+v"(b));
  __m512 sums[kSums];
  RA_UNROLL(12)
  for (std::size_t i = 0; i < kSums; ++i) sums[i] = _mm512_setzero_ps();
  for (std::size_t r = 0; r < rounds; ++r) {
    RA_UNROLL(12)
    for (std::size_t i = 0; i < kSums; ++i) {
      sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
  return 2.0 * kSums * 32;
}

}  // namespace

template <>
double multiply_peak<Level::kAvx512>(std::size_t rounds, bool exact_f32) noexcept {
  return exact_f32 ? multiply_peak_lanes<Simd>(rounds) : multiply_peak_pairs(rounds);
}

}  // namespace ra::kernels
