// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/activation.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

// With e = exp(-|g|) <= 1 nothing overflows: sigmoid(g) is 1 / (1 + e), or e / (1 + e) if g < 0.
RA_ALWAYS_INLINE __m256 silu(__m256 g) {
  const __m256 one = _mm256_set1_ps(1);
  const __m256 e = exp_lanes<Simd>(_mm256_or_ps(g, _mm256_set1_ps(-0.0f)));
  const __m256 top = _mm256_blendv_ps(one, e, g);  // by the sign of g
  return _mm256_mul_ps(g, _mm256_div_ps(top, _mm256_add_ps(one, e)));
}

}  // namespace

template <>
void swiglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(gate + i,
                     _mm256_mul_ps(silu(_mm256_loadu_ps(gate + i)), _mm256_loadu_ps(up + i)));
  if (i == n) return;
  float g[8] = {}, u[8] = {};
  for (std::size_t j = i; j < n; ++j) g[j - i] = gate[j], u[j - i] = up[j];
  _mm256_storeu_ps(g, _mm256_mul_ps(silu(_mm256_loadu_ps(g)), _mm256_loadu_ps(u)));
  for (std::size_t j = i; j < n; ++j) gate[j] = g[j - i];
}

}  // namespace ra::kernels
