// SPDX-License-Identifier: Apache-2.0
// Quickselect on 8 scores at a time: the side of the pivot that holds the m-th largest is moved to
// the front, again and again. Without compressing stores a table says which lanes come first.
#include <immintrin.h>

#include <array>
#include <cstring>
#include <limits>

#include "kernels/select.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// NaN becomes -infinity: max returns its second operand if one is NaN.
RA_ALWAYS_INLINE __m256 ranked(__m256 v) { return _mm256_max_ps(v, _mm256_set1_ps(kLowest)); }
RA_ALWAYS_INLINE float ranked(float x) { return x > kLowest ? x : kLowest; }

RA_ALWAYS_INLINE unsigned mask_of(__m256 lanes) {
  return static_cast<unsigned>(_mm256_movemask_ps(lanes));
}
RA_ALWAYS_INLINE std::size_t bits_in(unsigned mask) {
  return static_cast<std::size_t>(__builtin_popcount(mask));
}

// Of each mask its lanes, ascending, a byte each.
constexpr std::array<std::uint64_t, 256> front_lanes() {
  std::array<std::uint64_t, 256> table{};
  for (unsigned mask = 0; mask < 256; ++mask)
    for (unsigned lane = 0, at = 0; lane < 8; ++lane)
      if ((mask >> lane & 1) != 0) table[mask] |= std::uint64_t{lane} << (8 * at++);
  return table;
}
constexpr std::array<std::uint64_t, 256> kFront = front_lanes();

// The lanes of the mask first, the others anywhere.
RA_ALWAYS_INLINE __m256i to_front(__m256i v, unsigned mask) {
  const __m128i lanes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&kFront[mask]));
  return _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(lanes));
}

// A sampled value a little below the m-th largest, or a little above it.
float pivot_of(const float* x, std::size_t n, std::size_t m, bool below) {
  constexpr std::size_t kSample = 16, kMargin = 2;
  float sample[kSample];  // descending
  for (std::size_t i = 0; i < kSample; ++i) {
    const float v = ranked(x[(2 * i + 1) * n / (2 * kSample)]);
    std::size_t at = i;
    for (; at > 0 && sample[at - 1] < v; --at) sample[at] = sample[at - 1];
    sample[at] = v;
  }
  const std::size_t at = (m - 1) * kSample / n;
  if (below) return sample[at + kMargin < kSample ? at + kMargin : kSample - 1];
  return sample[at > kMargin ? at - kMargin : 0];
}

// Calls take(first, scores, lanes) for eight scores after eight; the last ones fill up with NaN,
// which no comparison holds for.
template <class Take>
RA_ALWAYS_INLINE void each_eight(const float* x, std::size_t n, const Take& take) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) take(i, ranked(_mm256_loadu_ps(x + i)));
  if (i == n) return;
  float rest[8];
  for (std::size_t j = 0; j < 8; ++j)
    rest[j] = i + j < n ? ranked(x[i + j]) : std::numeric_limits<float>::quiet_NaN();
  take(i, _mm256_loadu_ps(rest));
}

// Up to eight values to `out`, of which the mask counts the first.
template <class T>
RA_ALWAYS_INLINE void put(T* out, __m256i v, unsigned mask, bool room) {
  const __m256i front = to_front(v, mask);
  if (room) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), front);
  T all[8];
  std::memcpy(all, &front, sizeof(all));
  std::memcpy(out, all, bits_in(mask) * sizeof(T));
}

RA_ALWAYS_INLINE __m256i positions(std::size_t first) {
  return _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                          _mm256_set1_epi32(static_cast<int>(first)));
}

}  // namespace

template <>
float kth_largest<Level::kAvx2>(const float* scores, std::size_t n, std::size_t m,
                                float* scratch) noexcept {
  const float* x = scores;
  for (;;) {
    // The cut mostly falls on the smaller side, which is all that is left for the next round.
    const float pivot = pivot_of(x, n, m, 2 * m <= n);
    const __m256 p = _mm256_set1_ps(pivot);
    std::size_t above = 0, equal = 0;
    each_eight(x, n, [&](std::size_t, __m256 v) {
      above += bits_in(mask_of(_mm256_cmp_ps(v, p, _CMP_GT_OQ)));
      equal += bits_in(mask_of(_mm256_cmp_ps(v, p, _CMP_EQ_OQ)));
    });
    if (above < m && m <= above + equal) return pivot;
    const bool upper = above >= m;
    std::size_t kept = 0;
    // What is kept never reaches scores that are still to be read: there are no more of it.
    each_eight(x, n, [&](std::size_t first, __m256 v) {
      const unsigned keep =
          mask_of(upper ? _mm256_cmp_ps(v, p, _CMP_GT_OQ) : _mm256_cmp_ps(v, p, _CMP_LT_OQ));
      put(scratch + kept, _mm256_castps_si256(v), keep, first + 8 <= n);
      kept += bits_in(keep);
    });
    if (!upper) m -= above + equal;
    n = kept;
    x = scratch;
  }
}

template <>
std::size_t at_least<Level::kAvx2>(const float* scores, std::size_t n, float floor,
                                   std::size_t most, std::uint32_t* out) noexcept {
  const __m256 f = _mm256_set1_ps(floor);
  std::size_t count = 0;
  each_eight(scores, n, [&](std::size_t first, __m256 v) {
    for (unsigned hits = mask_of(_mm256_cmp_ps(v, f, _CMP_GE_OQ)); hits != 0 && count < most;
         hits &= hits - 1)
      out[count++] =
          static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(__builtin_ctz(hits));
  });
  return count;
}

template <>
std::size_t largest<Level::kAvx2>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                  float* scratch, std::uint32_t* out) noexcept {
  const __m256 p = _mm256_set1_ps(pivot_of(scores, n, m, true));
  std::size_t count = 0;
  each_eight(scores, n, [&](std::size_t first, __m256 v) {
    const unsigned hits = mask_of(_mm256_cmp_ps(v, p, _CMP_GE_OQ));
    if (hits == 0) return;
    put(scratch + count, _mm256_castps_si256(v), hits, first + 8 <= n);
    put(out + count, positions(first), hits, first + 8 <= n);
    count += bits_in(hits);
  });
  if (count < m) {  // the sample misled
    *floor = kth_largest<Level::kAvx2>(scores, n, m, scratch);
    return at_least<Level::kAvx2>(scores, n, *floor, n, out);
  }
  *floor = kth_largest<Level::kAvx2>(scratch, count, m, scratch);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (const std::uint32_t at = out[i]; ranked(scores[at]) >= *floor) out[kept++] = at;
  return kept;
}

template <>
std::size_t group_at_least<Level::kAvx2>(const GroupScores& a, const float* floors,
                                         std::uint32_t* out) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.n; i += 8) {
    const __m256i valid =
        _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(a.n - i < 8 ? a.n - i : 8)),
                           _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    __m256 good = _mm256_setzero_ps();
    for (std::size_t g = 0; g < a.group; ++g)
      good =
          _mm256_or_ps(good, _mm256_cmp_ps(_mm256_maskload_ps(a.scores + g * a.stride + i, valid),
                                           _mm256_set1_ps(floors[g]), _CMP_GE_OQ));
    for (unsigned hits = mask_of(_mm256_and_ps(good, _mm256_castsi256_ps(valid))); hits != 0;
         hits &= hits - 1)
      out[count++] =
          static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(hits));
  }
  return count;
}

}  // namespace ra::kernels
