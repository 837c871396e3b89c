// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/score_rows.h"
#include "kernels/cpu/unroll.h"
#include "kernels/score.h"

namespace ra::kernels {
namespace {

// 128-bit lane i of the result: the sum of the four lanes of v[i].
RA_ALWAYS_INLINE __m512 sum_lanes(const __m512 (&v)[4]) {
  const __m512 lo =
      _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x44), _mm512_shuffle_f32x4(v[0], v[1], 0xee));
  const __m512 hi =
      _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x44), _mm512_shuffle_f32x4(v[2], v[3], 0xee));
  return _mm512_add_ps(_mm512_shuffle_f32x4(lo, hi, 0x88), _mm512_shuffle_f32x4(lo, hi, 0xdd));
}

// Four keys by queries g .. g + G - 1, G <= 4: 4 * G accumulators, reduced together.
template <int G, class T>
RA_ALWAYS_INLINE void score_tile(const ScoreArgs& a, const T* const (&keys)[kKeys], std::size_t g,
                                 std::size_t j, std::size_t count) {
  const float* q = a.q + g * a.q_stride;
  __m512 acc[G][kKeys];
  for (auto& row : acc)
    for (__m512& v : row) v = _mm512_setzero_ps();
  const auto add = [&](std::size_t i, __mmask16 m) __attribute__((always_inline)) {
    __m512 x[G];
    RA_UNROLL(4)
    for (int r = 0; r < G; ++r) x[r] = load16(q + static_cast<std::size_t>(r) * a.q_stride + i, m);
    RA_UNROLL(4)
    for (std::size_t k = 0; k < kKeys; ++k) {
      const __m512 key = load16(keys[k] + i, m);
      RA_UNROLL(4)
      for (int r = 0; r < G; ++r) acc[r][k] = _mm512_fmadd_ps(x[r], key, acc[r][k]);
    }
  };
  std::size_t i = 0;
  for (; i + 16 <= a.dim; i += 16) add(i, 0xffff);
  if (i < a.dim) add(i, first_lanes(a.dim - i));
  __m512 sums[4];
  RA_UNROLL(4)
  for (int r = 0; r < 4; ++r)
    sums[r] = r < G ? sums_in_lanes(acc[r % G][0], acc[r % G][1], acc[r % G][2], acc[r % G][3])
                    : _mm512_setzero_ps();
  float all[16];
  _mm512_storeu_ps(all, sum_lanes(sums));
  const auto m = static_cast<__mmask8>((1u << count) - 1);
  for (int r = 0; r < G; ++r)
    _mm_mask_storeu_ps(a.out + (g + static_cast<std::size_t>(r)) * a.out_stride + j, m,
                       _mm_loadu_ps(all + 4 * r));
}

template <class T>
void score_keys(const ScoreArgs& a) {
  for_each_four<T>(a, [&](const T* const(&keys)[kKeys], std::size_t j, std::size_t count) {
    std::size_t g = 0;
    for (; g + 4 <= a.group; g += 4) score_tile<4>(a, keys, g, j, count);
    switch (a.group - g) {
      case 3:
        return score_tile<3>(a, keys, g, j, count);
      case 2:
        return score_tile<2>(a, keys, g, j, count);
      case 1:
        return score_tile<1>(a, keys, g, j, count);
      default:
        return;
    }
  });
}

}  // namespace

template <>
void score<Level::kAvx512>(const ScoreArgs& a) noexcept {
  a.type == KvType::kF32 ? score_keys<float>(a) : score_keys<bf16>(a);
}

}  // namespace ra::kernels
