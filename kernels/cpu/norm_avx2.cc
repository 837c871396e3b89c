// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/norm.h"

namespace ra::kernels {
namespace {

double sum_of_squares(const float* x, std::size_t n) {
  __m256d s[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t c = 0; c < 2; ++c) {
      const __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * c));
      s[c] = _mm256_fmadd_pd(v, v, s[c]);
    }
  const __m256d both = _mm256_add_pd(s[0], s[1]);
  const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));
  double sum = _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

template <>
void rms_norm<Level::kAvx2>(const RmsNormArgs& a) noexcept {
  const double mean = a.n > 0 ? sum_of_squares(a.x, a.n) / static_cast<double>(a.n) : 0;
  const auto r = static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(a.eps)));
  const __m256 scale = _mm256_set1_ps(r);
  std::size_t i = 0;
  for (; i + 8 <= a.n; i += 8) {
    const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(a.x + i), scale);
    _mm256_storeu_ps(a.y + i, _mm256_mul_ps(v, _mm256_loadu_ps(a.gain + i)));
  }
  for (; i < a.n; ++i) a.y[i] = a.x[i] * r * a.gain[i];
}

}  // namespace ra::kernels
