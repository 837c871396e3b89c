// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/dot.h"

namespace ra::kernels {
namespace {

// Two loads feed each FMA, so at best one FMA a cycle; four chains cover its 4-cycle latency.
template <class T>
float dot_lanes(const float* a, const T* b, std::size_t n) {
  __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                 _mm256_setzero_ps()};
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32)
    for (std::size_t c = 0; c < 4; ++c)
      s[c] = _mm256_fmadd_ps(load8(a + i + 8 * c), load8(b + i + 8 * c), s[c]);
  for (; i + 8 <= n; i += 8) s[0] = _mm256_fmadd_ps(load8(a + i), load8(b + i), s[0]);
  float sum = reduce_add(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
  for (; i < n; ++i) sum += a[i] * to_float(b[i]);
  return sum;
}

}  // namespace

template <>
float dot<Level::kAvx2>(const float* a, const float* b, std::size_t n) noexcept {
  return dot_lanes(a, b, n);
}

template <>
float dot_bf16<Level::kAvx2>(const float* a, const bf16* b, std::size_t n) noexcept {
  return dot_lanes(a, b, n);
}

}  // namespace ra::kernels
