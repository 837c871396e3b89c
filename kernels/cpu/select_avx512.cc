// SPDX-License-Identifier: Apache-2.0
// Quickselect on 16 scores at a time: the side of the pivot that holds the m-th largest is
// compressed to the front, again and again.
#include <immintrin.h>

#include <limits>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/select.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// NaN becomes -infinity: max returns its second operand if one is NaN.
RA_ALWAYS_INLINE __m512 ranked(__m512 v) { return _mm512_max_ps(v, _mm512_set1_ps(kLowest)); }

RA_ALWAYS_INLINE std::size_t bits_in(unsigned mask) {
  return static_cast<std::size_t>(__builtin_popcount(mask));
}

// About the m-th largest of x: that of a sample.
float pivot_of(const float* x, std::size_t n, std::size_t m) {
  constexpr std::size_t kSample = 32;
  float sample[kSample];  // best first
  const std::size_t size = n < kSample ? n : kSample;
  for (std::size_t i = 0; i < size; ++i) {
    const float v = x[(2 * i + 1) * n / (2 * size)];
    std::size_t at = i;
    for (; at > 0 && sample[at - 1] < v; --at) sample[at] = sample[at - 1];
    sample[at] = v;
  }
  return sample[(m - 1) * size / n];
}

}  // namespace

template <>
float kth_largest<Level::kAvx512>(const float* scores, std::size_t n, std::size_t m,
                                  float* scratch) noexcept {
  const float* x = scores;
  bool first = true;  // scratch holds nothing yet
  for (;;) {
    const float pivot = pivot_of(x, n, m);
    const __m512 p = ranked(_mm512_set1_ps(pivot));
    std::size_t above = 0, equal = 0;
    for (std::size_t i = 0; i < n; i += 16) {
      const __mmask16 valid = first_lanes(n - i);
      const __m512 v = ranked(load16(x + i, valid));
      above += bits_in(_mm512_mask_cmp_ps_mask(valid, v, p, _CMP_GT_OQ));
      equal += bits_in(_mm512_mask_cmp_ps_mask(valid, v, p, _CMP_EQ_OQ));
    }
    if (above < m && m <= above + equal) return _mm512_cvtss_f32(p);
    const bool upper = above >= m;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < n; i += 16) {
      const __mmask16 valid = first_lanes(n - i);
      const __m512 v = ranked(load16(x + i, valid));
      const __mmask16 keep = upper ? _mm512_mask_cmp_ps_mask(valid, v, p, _CMP_GT_OQ)
                                   : _mm512_mask_cmp_ps_mask(valid, v, p, _CMP_LT_OQ);
      _mm512_mask_compressstoreu_ps(scratch + kept, keep, v);
      kept += bits_in(keep);
    }
    if (!upper) m -= above + equal;
    n = kept;
    if (first) x = scratch;
    first = false;
  }
}

template <>
std::size_t at_least<Level::kAvx512>(const float* scores, std::size_t n, float floor,
                                     std::size_t most, std::uint32_t* out) noexcept {
  const __m512 f = _mm512_set1_ps(floor);
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t count = 0;
  for (std::size_t i = 0; i < n && count < most; i += 16) {
    const __mmask16 valid = first_lanes(n - i);
    unsigned hits =
        _mm512_mask_cmp_ps_mask(valid, ranked(load16(scores + i, valid)), f, _CMP_GE_OQ);
    while (bits_in(hits) > most - count) hits &= ~(1u << (31 - __builtin_clz(hits)));
    const __m512i at = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(i)));
    _mm512_mask_compressstoreu_epi32(out + count, static_cast<__mmask16>(hits), at);
    count += bits_in(hits);
  }
  return count;
}

}  // namespace ra::kernels
