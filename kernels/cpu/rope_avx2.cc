// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/rope_pair.h"
#include "kernels/rope.h"

namespace ra::kernels {
namespace {

std::size_t rotate_half(const RopeArgs& a, float* lo, float* hi) {
  std::size_t i = 0;
  for (; i + 8 <= a.rotary_dims / 2; i += 8) {
    const __m256 x = _mm256_loadu_ps(lo + i), y = _mm256_loadu_ps(hi + i);
    const __m256 c = _mm256_loadu_ps(a.cos + i), s = _mm256_loadu_ps(a.sin + i);
    _mm256_storeu_ps(lo + i, _mm256_sub_ps(_mm256_mul_ps(x, c), _mm256_mul_ps(y, s)));
    _mm256_storeu_ps(hi + i, _mm256_add_ps(_mm256_mul_ps(y, c), _mm256_mul_ps(x, s)));
  }
  return i;
}

std::size_t rotate_interleaved(const RopeArgs& a, float* head) {
  const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
  std::size_t i = 0;
  for (; i + 4 <= a.rotary_dims / 2; i += 4) {
    const __m256 v = _mm256_loadu_ps(head + 2 * i);
    const __m256 c =
        _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(a.cos + i)), twice);
    const __m256 s =
        _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(a.sin + i)), twice);
    const __m256 swapped = _mm256_permute_ps(v, 0xb1);
    _mm256_storeu_ps(head + 2 * i,
                     _mm256_addsub_ps(_mm256_mul_ps(v, c), _mm256_mul_ps(swapped, s)));
  }
  return i;
}

}  // namespace

template <>
void rope<Level::kAvx2>(const RopeArgs& a) noexcept {
  for (std::size_t h = 0; h < a.heads; ++h) {
    float* head = a.x + h * a.head_dim;
    const std::size_t done = a.interleaved ? rotate_interleaved(a, head)
                                           : rotate_half(a, head, head + a.rotary_dims / 2);
    rotate_pairs(a, head, done);
  }
}

}  // namespace ra::kernels
