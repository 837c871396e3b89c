// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/activation.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

// With e = exp(-|g|) <= 1 nothing overflows: sigmoid(g) is 1 / (1 + e), or e / (1 + e) if g < 0.
RA_ALWAYS_INLINE __m512 silu(__m512 g) {
  const __m512 one = _mm512_set1_ps(1);
  const __m512 e = exp_lanes<Simd>(_mm512_or_ps(g, _mm512_set1_ps(-0.0f)));
  const __m512 top = _mm512_mask_mov_ps(one, _mm512_movepi32_mask(_mm512_castps_si512(g)), e);
  return _mm512_mul_ps(g, _mm512_div_ps(top, _mm512_add_ps(one, e)));
}

}  // namespace

template <>
void swiglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 v = _mm512_mul_ps(silu(load16(gate + i, m)), load16(up + i, m));
    _mm512_mask_storeu_ps(gate + i, m, v);
  }
}

}  // namespace ra::kernels
