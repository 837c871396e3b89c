// SPDX-License-Identifier: Apache-2.0
// 16 f32 lanes for the kernels that are written once for AVX2 and AVX-512 (causal_f32.h,
// partial_lanes.h, gemm_f32.h, score_rule.h). For sources built with the avx512 flags only; in an
// anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

struct Simd {
  using V = __m512;
  using Mask = __mmask16;
  static constexpr std::size_t kLanes = 16;
  // Rows of a register tile of two vectors: 24 accumulators, 2 vectors, broadcasts from memory.
  static constexpr std::size_t kTileRows = 12;

  // Keys of one turn of decode attention (partial_lanes.h).
  static constexpr std::size_t kBlockKeys = 16;
  static constexpr bool kMultipliesPairs = true;  // of bf16

  RA_ALWAYS_INLINE static V zero() { return _mm512_setzero_ps(); }
  RA_ALWAYS_INLINE static V set1(float x) { return _mm512_set1_ps(x); }
  RA_ALWAYS_INLINE static V load(const float* p) { return _mm512_loadu_ps(p); }
  RA_ALWAYS_INLINE static V load(const bf16* p) { return load16(p); }
  RA_ALWAYS_INLINE static V load(const std::int8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  RA_ALWAYS_INLINE static Mask first_lanes(std::size_t n) { return kernels::first_lanes(n); }
  RA_ALWAYS_INLINE static V load(const float* p, Mask m) { return load16(p, m); }  // 0 elsewhere
  RA_ALWAYS_INLINE static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  RA_ALWAYS_INLINE static void store(bf16* p, V v) {  // rounded to even
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  }
  RA_ALWAYS_INLINE static V add(V a, V b) { return _mm512_add_ps(a, b); }
  RA_ALWAYS_INLINE static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  RA_ALWAYS_INLINE static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  RA_ALWAYS_INLINE static V div(V a, V b) { return _mm512_div_ps(a, b); }
  RA_ALWAYS_INLINE static V max(V a, V b) { return _mm512_max_ps(a, b); }
  RA_ALWAYS_INLINE static V min(V a, V b) { return _mm512_min_ps(a, b); }
  RA_ALWAYS_INLINE static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  RA_ALWAYS_INLINE static V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
  RA_ALWAYS_INLINE static float reduce_add(V v) { return _mm512_reduce_add_ps(v); }
  RA_ALWAYS_INLINE static float reduce_max(V v) { return _mm512_reduce_max_ps(v); }
  RA_ALWAYS_INLINE static bool any_greater(V a, V b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
  }
  RA_ALWAYS_INLINE static V select(Mask m, V a, V b) { return _mm512_mask_mov_ps(b, m, a); }
  // a where x <= limit, else b
  RA_ALWAYS_INLINE static V select_le(V x, V limit, V a, V b) {
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, limit, _CMP_LE_OQ), a);
  }
  RA_ALWAYS_INLINE static V round(V v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // v * 2^n for integral n; flushes to zero far below the range of f32.
  RA_ALWAYS_INLINE static V scale_exponent(V v, V n) { return _mm512_scalef_ps(v, n); }

  // The lower and the upper half of each 32-bit lane as bf16.
  RA_ALWAYS_INLINE static V low_half(V pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
  }
  RA_ALWAYS_INLINE static V high_half(V pairs) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(-0x10000)));
  }
  // c + the two products of each lane, a pair of bf16 in a and in b.
  RA_ALWAYS_INLINE static V fma_pairs(V a, V b, V c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  RA_ALWAYS_INLINE static V set1_pair(const bf16* p) {
    int pair = 0;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm512_castsi512_ps(_mm512_set1_epi32(pair));
  }
  // x = elements `first` of the 32 of (a, b), y = those `step` further on.
  RA_ALWAYS_INLINE static void permute(V a, V b, __m512i first, int step, V& x, V& y) {
    x = _mm512_permutex2var_ps(a, first, b);
    y = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(step)), b);
  }
  // Pairs (a[i], b[i]) of 32 bf16 each: of the lower and of the upper four in each eight.
  RA_ALWAYS_INLINE static V unpack_low(V a, V b) {
    return _mm512_castsi512_ps(
        _mm512_unpacklo_epi16(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
  RA_ALWAYS_INLINE static V unpack_high(V a, V b) {
    return _mm512_castsi512_ps(
        _mm512_unpackhi_epi16(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
  // 32 numbers (a, b) in order <-> in the order of unpack_low and unpack_high.
  RA_ALWAYS_INLINE static void split_unpacked(V a, V b, V& low, V& high) {
    const __m512i l = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    permute(a, b, l, 4, low, high);
  }
  RA_ALWAYS_INLINE static void join_unpacked(V low, V high, V& a, V& b) {
    const __m512i l = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    permute(low, high, l, 8, a, b);
  }
  // Byte I of each 32-bit lane, as a signed number.
  template <int I>
  RA_ALWAYS_INLINE static V quarter(V bytes) {
    const __m512i top = _mm512_slli_epi32(_mm512_castps_si512(bytes), 24 - 8 * I);
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(top, 24));
  }
  // even, odd <- elements 0, 2, 4... and 1, 3, 5... of the 32 of (a, b); and back.
  RA_ALWAYS_INLINE static void deinterleave(V a, V b, V& even, V& odd) {
    const __m512i e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    permute(a, b, e, 1, even, odd);
  }
  RA_ALWAYS_INLINE static void interleave(V even, V odd, V& a, V& b) {
    const __m512i lo = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    permute(even, odd, lo, 8, a, b);
  }

  // r[i] lane j <-> r[j] lane i.
  RA_ALWAYS_INLINE static void transpose(V (&r)[16]) {
    V t[16];
    RA_UNROLL(16)
    for (std::size_t i = 0; i < 16; i += 4) {
      const V a = _mm512_unpacklo_ps(r[i], r[i + 1]), b = _mm512_unpackhi_ps(r[i], r[i + 1]);
      const V c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
      const V d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm512_shuffle_ps(a, c, 0x44);
      t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
      t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
      t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    // Now 128-bit piece p of t[4 g + c] holds column 4 p + c of rows 4 g .. 4 g + 3.
    RA_UNROLL(4)
    for (std::size_t c = 0; c < 4; ++c) {
      const V a = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88);
      const V b = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xdd);
      const V d = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
      const V e = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xdd);
      r[c] = _mm512_shuffle_f32x4(a, d, 0x88);
      r[8 + c] = _mm512_shuffle_f32x4(a, d, 0xdd);
      r[4 + c] = _mm512_shuffle_f32x4(b, e, 0x88);
      r[12 + c] = _mm512_shuffle_f32x4(b, e, 0xdd);
    }
  }
};

}  // namespace
}  // namespace ra::kernels
