// SPDX-License-Identifier: Apache-2.0
// AMX tile plumbing for the sources built with the amx flags only: configuration, bf16 packing.
// A tile is 16 rows of 64 bytes. TDPBF16PS: C [16, 16] f32 += A [16, 32] bf16 * B [32, 16] bf16,
// with B stored as 16 rows of 16 pairs (elements 2 p and 2 p + 1 of column j at row p).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd_avx512.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

inline constexpr std::size_t kTileBytes = 1024;

// Configures the eight tiles of this thread for its lifetime, 16 rows each, or fewer in the first
// `short_tiles` of them. Libraries change the configuration, and a thread that keeps it pays for
// 8 KiB more at every context switch.
class AmxScope {
 public:
  explicit AmxScope(std::size_t short_tiles = 0, std::uint8_t short_rows = 16) {
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    for (std::size_t i = 0; i < short_tiles; ++i) config.rows[i] = short_rows;
    // g++ 12 does not see that the intrinsic reads the structure.
    asm volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
  }
  ~AmxScope() { _tile_release(); }
  AmxScope(const AmxScope&) = delete;
  AmxScope& operator=(const AmxScope&) = delete;
};

// g++ 12's tile loads do not say that they read memory: without this, a store may move past them.
RA_ALWAYS_INLINE void before_tile_loads() { asm volatile("" : : : "memory"); }

RA_ALWAYS_INLINE void zero_sums() {  // tiles 0..3
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// lo and hi as 32 bf16, rounded to nearest even, in order.
RA_ALWAYS_INLINE __m512 pack_bf16(__m512 lo, __m512 hi) {
  return reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(hi, lo));
}

RA_ALWAYS_INLINE __m512 load_masked(const float* p, std::size_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

// 32 bf16 of p[0..n), zero past n.
RA_ALWAYS_INLINE __m512 load_bf16(const float* p, std::size_t n) {
  return pack_bf16(load_masked(p, n), load_masked(p + 16, n > 16 ? n - 16 : 0));
}
RA_ALWAYS_INLINE __m512 load_bf16(const bf16* p, std::size_t n) {
  const __mmask32 m = n >= 32 ? 0xffffffffu : (1u << n) - 1u;
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(m, p));
}

}  // namespace
}  // namespace ra::kernels
