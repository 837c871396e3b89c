// SPDX-License-Identifier: Apache-2.0
// bf16 matrices in tiles, the layout that products of pairs take: a tile of A is 16 rows of 32
// elements; one of B [32, 16] is 16 rows of 16 pairs, elements 2 p and 2 p + 1 of column j at row
// p. For sources built with the avx512 flags or wider; in an anonymous namespace, so that no copy
// built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

inline constexpr std::size_t kTileBytes = 1024;

// Two row tiles of A times two column tiles of B: c[i][j] [16, 16], rows `stride` floats apart. A
// and B continue in `steps` tiles each, kTileBytes apart.
struct TileQuad {
  const std::byte* a[2];
  const std::byte* b[2];
  std::size_t steps;
  float* c[2][2];
  std::size_t stride;
};

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
