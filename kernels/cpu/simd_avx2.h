// SPDX-License-Identifier: Apache-2.0
// 8 f32 lanes for the kernels that are written once for AVX2 and AVX-512 (causal_f32.h,
// partial_lanes.h, gemm_f32.h, score_rule.h). For sources built with -mavx2 -mfma -mf16c only; in
// an anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

struct Simd {
  using V = __m256;
  using Mask = __m256i;
  static constexpr std::size_t kLanes = 8;
  // Rows of a register tile of two vectors: 12 accumulators, 2 vectors, 1 broadcast.
  static constexpr std::size_t kTileRows = 6;

  // Keys of one turn of decode attention (partial_lanes.h).
  static constexpr std::size_t kBlockKeys = 32;
  static constexpr bool kMultipliesPairs = false;  // of bf16

  RA_ALWAYS_INLINE static V zero() { return _mm256_setzero_ps(); }
  RA_ALWAYS_INLINE static V set1(float x) { return _mm256_set1_ps(x); }
  RA_ALWAYS_INLINE static V load(const float* p) { return _mm256_loadu_ps(p); }
  RA_ALWAYS_INLINE static V load(const bf16* p) { return load8(p); }
  RA_ALWAYS_INLINE static V load(const std::int8_t* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  RA_ALWAYS_INLINE static Mask first_lanes(std::size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n < kLanes ? n : kLanes)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  RA_ALWAYS_INLINE static V load(const float* p, Mask m) {  // 0 elsewhere
    return _mm256_maskload_ps(p, m);
  }
  RA_ALWAYS_INLINE static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  RA_ALWAYS_INLINE static V add(V a, V b) { return _mm256_add_ps(a, b); }
  RA_ALWAYS_INLINE static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  RA_ALWAYS_INLINE static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  RA_ALWAYS_INLINE static V div(V a, V b) { return _mm256_div_ps(a, b); }
  RA_ALWAYS_INLINE static V max(V a, V b) { return _mm256_max_ps(a, b); }
  RA_ALWAYS_INLINE static V min(V a, V b) { return _mm256_min_ps(a, b); }
  RA_ALWAYS_INLINE static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  RA_ALWAYS_INLINE static V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
  RA_ALWAYS_INLINE static float reduce_add(V v) { return ra::kernels::reduce_add(v); }
  RA_ALWAYS_INLINE static float reduce_max(V v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  RA_ALWAYS_INLINE static bool any_greater(V a, V b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }
  RA_ALWAYS_INLINE static V select(Mask m, V a, V b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m));
  }
  // a where x <= limit, else b
  RA_ALWAYS_INLINE static V select_le(V x, V limit, V a, V b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, limit, _CMP_LE_OQ));
  }
  RA_ALWAYS_INLINE static V round(V v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // v * 2^n for integral n <= 127; zero for n < -126, so results below the normal range vanish.
  RA_ALWAYS_INLINE static V scale_exponent(V v, V n) {
    const __m256i bits =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    const V keep = _mm256_cmp_ps(n, _mm256_set1_ps(-126), _CMP_GE_OQ);
    return _mm256_and_ps(_mm256_mul_ps(v, _mm256_castsi256_ps(bits)), keep);
  }

  // The lower and the upper half of each 32-bit lane as bf16.
  RA_ALWAYS_INLINE static V low_half(V pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
  }
  RA_ALWAYS_INLINE static V high_half(V pairs) {
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_castps_si256(pairs), _mm256_set1_epi32(-0x10000)));
  }
  // Byte I of each 32-bit lane, as a signed number.
  template <int I>
  RA_ALWAYS_INLINE static V quarter(V bytes) {
    const __m256i top = _mm256_slli_epi32(_mm256_castps_si256(bytes), 24 - 8 * I);
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(top, 24));
  }
  // even, odd <- elements 0, 2, 4... and 1, 3, 5... of the 16 of (a, b); and back.
  RA_ALWAYS_INLINE static void deinterleave(V a, V b, V& even, V& odd) {
    const auto quarters = [](V v) {  // 0 2 | 1 3 in 64-bit units
      return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
    };
    even = quarters(_mm256_shuffle_ps(a, b, 0x88));
    odd = quarters(_mm256_shuffle_ps(a, b, 0xdd));
  }
  RA_ALWAYS_INLINE static void interleave(V even, V odd, V& a, V& b) {
    const V lo = _mm256_unpacklo_ps(even, odd), hi = _mm256_unpackhi_ps(even, odd);
    a = _mm256_permute2f128_ps(lo, hi, 0x20);
    b = _mm256_permute2f128_ps(lo, hi, 0x31);
  }

  // r[i] lane j <-> r[j] lane i.
  RA_ALWAYS_INLINE static void transpose(V (&r)[8]) {
    V t[8];
    RA_UNROLL(2)
    for (std::size_t i = 0; i < 8; i += 4) {
      const V a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
      const V c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
      const V d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm256_shuffle_ps(a, c, 0x44);
      t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
      t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
      t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    RA_UNROLL(4)
    for (std::size_t c = 0; c < 4; ++c) {
      r[c] = _mm256_permute2f128_ps(t[c], t[4 + c], 0x20);
      r[4 + c] = _mm256_permute2f128_ps(t[c], t[4 + c], 0x31);
    }
  }
};

}  // namespace
}  // namespace ra::kernels
