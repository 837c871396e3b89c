// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/score_rows.h"
#include "kernels/score.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE __m128 sums_of_four(const __m256 (&v)[kKeys]) {
  const __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

// Four keys by queries g .. g + G - 1: 4 * G accumulators.
template <int G, class T>
RA_ALWAYS_INLINE void score_tile(const ScoreArgs& a, const T* const (&keys)[kKeys], std::size_t g,
                                 std::size_t j, std::size_t count) {
  const float* q = a.q + g * a.q_stride;
  __m256 acc[G][kKeys];
  for (auto& row : acc)
    for (__m256& v : row) v = _mm256_setzero_ps();
  std::size_t i = 0;
  for (; i + 8 <= a.dim; i += 8) {
    __m256 x[G];
    for (int r = 0; r < G; ++r) x[r] = load8(q + static_cast<std::size_t>(r) * a.q_stride + i);
    for (std::size_t k = 0; k < kKeys; ++k) {
      const __m256 key = load8(keys[k] + i);
      for (int r = 0; r < G; ++r) acc[r][k] = _mm256_fmadd_ps(x[r], key, acc[r][k]);
    }
  }
  for (int r = 0; r < G; ++r) {
    float sums[kKeys];
    _mm_storeu_ps(sums, sums_of_four(acc[r]));
    const float* query = q + static_cast<std::size_t>(r) * a.q_stride;
    float* out = a.out + (g + static_cast<std::size_t>(r)) * a.out_stride + j;
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t c = i; c < a.dim; ++c) sums[k] += query[c] * to_float(keys[k][c]);
      out[k] = sums[k];
    }
  }
}

template <class T>
void score_keys(const ScoreArgs& a) {
  for_each_four<T>(a, [&](const T* const(&keys)[kKeys], std::size_t j, std::size_t count) {
    std::size_t g = 0;
    for (; g + 2 <= a.group; g += 2) score_tile<2>(a, keys, g, j, count);
    if (g < a.group) score_tile<1>(a, keys, g, j, count);
  });
}

}  // namespace

template <>
void score<Level::kAvx2>(const ScoreArgs& a) noexcept {
  a.type == KvType::kF32 ? score_keys<float>(a) : score_keys<bf16>(a);
}

}  // namespace ra::kernels
