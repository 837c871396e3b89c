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

// A sampled value a little below the m-th largest, or a little above it.
float pivot_of(const float* x, std::size_t n, std::size_t m, bool below) {
  constexpr std::size_t kSample = 16, kMargin = 2;
  float sample[kSample];
  for (std::size_t i = 0; i < kSample; ++i) sample[i] = x[(2 * i + 1) * n / (2 * kSample)];
  const std::size_t at = (m - 1) * kSample / n;
  std::size_t rank = at > kMargin ? at - kMargin : 0;
  if (below) rank = at + kMargin < kSample ? at + kMargin : kSample - 1;
  // How many samples are larger, or equal and before it: of all of them at once, by rotation.
  const __m512 v = ranked(_mm512_loadu_ps(sample));
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(15);
  __m512i larger = _mm512_setzero_si512(), from = lane;
  for (int i = 1; i < 16; ++i) {
    from = _mm512_and_si512(_mm512_add_epi32(from, one), last);
    const __m512 other = _mm512_permutexvar_ps(from, v);
    const auto before = static_cast<__mmask16>(
        _mm512_cmp_ps_mask(other, v, _CMP_GT_OQ) |
        (_mm512_cmp_ps_mask(other, v, _CMP_EQ_OQ) & _mm512_cmplt_epi32_mask(from, lane)));
    larger = _mm512_mask_add_epi32(larger, before, larger, one);
  }
  const __mmask16 it = _mm512_cmpeq_epi32_mask(larger, _mm512_set1_epi32(static_cast<int>(rank)));
  return _mm512_cvtss_f32(_mm512_maskz_compress_ps(it, v));
}

}  // namespace

template <>
float kth_largest<Level::kAvx512>(const float* scores, std::size_t n, std::size_t m,
                                  float* scratch) noexcept {
  const float* x = scores;
  bool first = true;  // scratch holds nothing yet
  for (;;) {
    // The cut mostly falls on the smaller side, which is all that is left for the next round.
    const float pivot = pivot_of(x, n, m, 2 * m <= n);
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
      kept += store_lanes(scratch + kept, keep, v);
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
    count += store_lanes(out + count, static_cast<__mmask16>(hits), at);
  }
  return count;
}

template <>
std::size_t largest<Level::kAvx512>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                    float* scratch, std::uint32_t* out) noexcept {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512 p = ranked(_mm512_set1_ps(pivot_of(scores, n, m, true)));
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 valid = first_lanes(n - i);
    const __m512 v = ranked(load16(scores + i, valid));
    const __mmask16 hits = _mm512_mask_cmp_ps_mask(valid, v, p, _CMP_GE_OQ);
    if (hits == 0) continue;
    store_lanes(scratch + count, hits, v);
    const __m512i at = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(i)));
    count += store_lanes(out + count, hits, at);
  }
  if (count < m) {  // the sample misled
    *floor = kth_largest<Level::kAvx512>(scores, n, m, scratch);
    return at_least<Level::kAvx512>(scores, n, *floor, n, out);
  }
  *floor = kth_largest<Level::kAvx512>(scratch, count, m, scratch);
  const __m512 f = _mm512_set1_ps(*floor);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; i += 16) {
    const __mmask16 valid = first_lanes(count - i);
    const __m512i at = _mm512_maskz_loadu_epi32(valid, out + i);
    const __m512 v = ranked(_mm512_mask_i32gather_ps(f, valid, at, scores, 4));
    const __mmask16 hits = _mm512_mask_cmp_ps_mask(valid, v, f, _CMP_GE_OQ);
    kept += store_lanes(out + kept, hits, at);
  }
  return kept;
}

template <>
std::size_t group_at_least<Level::kAvx512>(const GroupScores& a, const float* floors,
                                           std::uint32_t* out) noexcept {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.n; i += 16) {
    const __mmask16 valid = first_lanes(a.n - i);
    unsigned hits = 0;
    for (std::size_t g = 0; g < a.group; ++g)
      hits |= _mm512_mask_cmp_ps_mask(valid, load16(a.scores + g * a.stride + i, valid),
                                      _mm512_set1_ps(floors[g]), _CMP_GE_OQ);
    const __m512i at = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(i)));
    count += store_lanes(out + count, static_cast<__mmask16>(hits), at);
  }
  return count;
}

}  // namespace ra::kernels
