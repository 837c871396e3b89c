// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/rope_pair.h"
#include "kernels/rope.h"

namespace ra::kernels {
namespace {

std::size_t rotate_half(const RopeArgs& a, float* lo, float* hi) {
  std::size_t i = 0;
  for (; i + 16 <= a.rotary_dims / 2; i += 16) {
    const __m512 x = _mm512_loadu_ps(lo + i), y = _mm512_loadu_ps(hi + i);
    const __m512 c = _mm512_loadu_ps(a.cos + i), s = _mm512_loadu_ps(a.sin + i);
    _mm512_storeu_ps(lo + i, _mm512_sub_ps(_mm512_mul_ps(x, c), _mm512_mul_ps(y, s)));
    _mm512_storeu_ps(hi + i, _mm512_add_ps(_mm512_mul_ps(y, c), _mm512_mul_ps(x, s)));
  }
  return i;
}

std::size_t rotate_interleaved(const RopeArgs& a, float* head) {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  std::size_t i = 0;
  for (; i + 8 <= a.rotary_dims / 2; i += 8) {
    const __m512 v = _mm512_loadu_ps(head + 2 * i);
    const __m512 c =
        _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(a.cos + i)));
    const __m512 s =
        _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(a.sin + i)));
    const __m512 p = _mm512_mul_ps(v, c), q = _mm512_mul_ps(_mm512_permute_ps(v, 0xb1), s);
    _mm512_storeu_ps(head + 2 * i, _mm512_mask_sub_ps(_mm512_add_ps(p, q), 0x5555, p, q));
  }
  return i;
}

}  // namespace

template <>
void rope<Level::kAvx512>(const RopeArgs& a) noexcept {
  for (std::size_t h = 0; h < a.heads; ++h) {
    float* head = a.x + h * a.head_dim;
    const std::size_t done = a.interleaved ? rotate_interleaved(a, head)
                                           : rotate_half(a, head, head + a.rotary_dims / 2);
    rotate_pairs(a, head, done);
  }
}

}  // namespace ra::kernels
