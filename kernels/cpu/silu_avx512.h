// SPDX-License-Identifier: Apache-2.0
// silu(g) = g / (1 + exp(-g)) of 16 lanes. For sources built with the avx512 flags only; in an
// anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

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
}  // namespace ra::kernels
