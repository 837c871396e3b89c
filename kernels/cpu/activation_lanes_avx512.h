// SPDX-License-Identifier: Apache-2.0
// The activations of gates on 16 lanes (activation.h). For sources built with the avx512 flags
// only; in an anonymous namespace, so that no copy built with these flags can reach the rest of the
// program.
#pragma once

#include <immintrin.h>

#include "kernels/activation.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

// With e = exp(-|x|) <= 1 nothing overflows: sigmoid(x) is 1 / (1 + e), or e / (1 + e) if x < 0.
RA_ALWAYS_INLINE __m512 sigmoid(__m512 x) {
  const __m512 one = _mm512_set1_ps(1);
  const __m512 e = exp_lanes<Simd>(_mm512_or_ps(x, _mm512_set1_ps(-0.0f)));
  const __m512 top = _mm512_mask_mov_ps(one, _mm512_movepi32_mask(_mm512_castps_si512(x)), e);
  return _mm512_div_ps(top, _mm512_add_ps(one, e));
}

template <Activation A>
RA_ALWAYS_INLINE __m512 activate(__m512 g) {
  if constexpr (A == Activation::kSilu) {
    return _mm512_mul_ps(g, sigmoid(g));
  } else {
    const __m512 cube =
        _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(kGeluCubic), g), _mm512_mul_ps(g, g));
    const __m512 twice_z = _mm512_mul_ps(_mm512_set1_ps(kGeluSlope), _mm512_add_ps(g, cube));
    return _mm512_mul_ps(g, sigmoid(twice_z));
  }
}

}  // namespace
}  // namespace ra::kernels
