// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/norm.h"

namespace ra::kernels {
namespace {

double sum_of_squares(const float* x, std::size_t n) {
  __m512d s[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  for (std::size_t i = 0; i < n; i += 16) {
    const __m512 v = load16(x + i, first_lanes(n - i));
    const __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    s[0] = _mm512_fmadd_pd(lo, lo, s[0]);
    s[1] = _mm512_fmadd_pd(hi, hi, s[1]);
  }
  return _mm512_reduce_add_pd(_mm512_add_pd(s[0], s[1]));
}

}  // namespace

template <>
void rms_norm<Level::kAvx512>(const RmsNormArgs& a) noexcept {
  const double mean = a.n > 0 ? sum_of_squares(a.x, a.n) / static_cast<double>(a.n) : 0;
  const auto r = static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(a.eps)));
  for (std::size_t i = 0; i < a.n; i += 16) {
    const __mmask16 m = first_lanes(a.n - i);
    const __m512 v = _mm512_mul_ps(load16(a.x + i, m), _mm512_set1_ps(r));
    _mm512_mask_storeu_ps(a.y + i, m, _mm512_mul_ps(v, load16(a.gain + i, m)));
  }
}

}  // namespace ra::kernels
