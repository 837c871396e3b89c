// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/activation.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

// With e = exp(-|x|) <= 1 nothing overflows: sigmoid(x) is 1 / (1 + e), or e / (1 + e) if x < 0.
RA_ALWAYS_INLINE __m256 sigmoid(__m256 x) {
  const __m256 one = _mm256_set1_ps(1);
  const __m256 e = exp_lanes<Simd>(_mm256_or_ps(x, _mm256_set1_ps(-0.0f)));
  const __m256 top = _mm256_blendv_ps(one, e, x);  // by the sign of x
  return _mm256_div_ps(top, _mm256_add_ps(one, e));
}

template <Activation A>
RA_ALWAYS_INLINE __m256 activate(__m256 g) {
  if constexpr (A == Activation::kSilu) {
    return _mm256_mul_ps(g, sigmoid(g));
  } else {
    const __m256 cube =
        _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(kGeluCubic), g), _mm256_mul_ps(g, g));
    const __m256 twice_z = _mm256_mul_ps(_mm256_set1_ps(kGeluSlope), _mm256_add_ps(g, cube));
    return _mm256_mul_ps(g, sigmoid(twice_z));
  }
}

template <Activation A>
RA_ALWAYS_INLINE void gated(const float* up, float* gate, std::size_t n) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(
        gate + i, _mm256_mul_ps(activate<A>(_mm256_loadu_ps(gate + i)), _mm256_loadu_ps(up + i)));
  if (i == n) return;
  float g[8] = {}, u[8] = {};
  for (std::size_t j = i; j < n; ++j) g[j - i] = gate[j], u[j - i] = up[j];
  _mm256_storeu_ps(g, _mm256_mul_ps(activate<A>(_mm256_loadu_ps(g)), _mm256_loadu_ps(u)));
  for (std::size_t j = i; j < n; ++j) gate[j] = g[j - i];
}

}  // namespace

template <>
void swiglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept {
  gated<Activation::kSilu>(up, gate, n);
}

template <>
void geglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept {
  gated<Activation::kGelu>(up, gate, n);
}

}  // namespace ra::kernels
