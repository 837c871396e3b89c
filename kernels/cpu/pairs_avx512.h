// SPDX-License-Identifier: Apache-2.0
// Products of bf16 tiles on vectors: VDPBF16PS adds the products of 16 pairs to 16 sums. For
// sources built with the avx512 flags only; in an anonymous namespace, so that no copy built with
// these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Rows of A at once: with two tiles of B 16 sums, twice what hides the latency of a product.
inline constexpr std::size_t kPairRows = 8;

// kPairRows rows of A [rows, 32 steps], a_row bytes apart, their tiles a_step bytes apart; two
// column tiles of B, kTileBytes apart.
struct PairRows {
  const std::byte* a;
  std::size_t a_row, a_step;
  const std::byte *b0, *b1;
  std::size_t steps;
};

// c0, c1 [kPairRows, 16], rows `stride` floats apart: C = (add ? C : 0) + A * B. Each sum takes its
// pairs in order.
RA_ALWAYS_INLINE void multiply_pairs(PairRows p, float* c0, float* c1, std::size_t stride,
                                     bool add) {
  __m512 sums[kPairRows][2];
  RA_UNROLL(8)
  for (std::size_t i = 0; i < kPairRows; ++i) {
    sums[i][0] = add ? _mm512_loadu_ps(c0 + i * stride) : _mm512_setzero_ps();
    sums[i][1] = add ? _mm512_loadu_ps(c1 + i * stride) : _mm512_setzero_ps();
  }
  for (std::size_t k = 0; k < p.steps; ++k) {
    for (std::size_t j = 0; j < 16; ++j) {
      const auto b0 = reinterpret_cast<__m512bh>(_mm512_load_ps(p.b0 + 64 * j));
      const auto b1 = reinterpret_cast<__m512bh>(_mm512_load_ps(p.b1 + 64 * j));
      RA_UNROLL(8)
      for (std::size_t i = 0; i < kPairRows; ++i) {
        int pair = 0;
        __builtin_memcpy(&pair, p.a + i * p.a_row + 4 * j, sizeof pair);
        const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
        sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, b0);
        sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, b1);
      }
    }
    p.a += p.a_step, p.b0 += kTileBytes, p.b1 += kTileBytes;
  }
  RA_UNROLL(8)
  for (std::size_t i = 0; i < kPairRows; ++i) {
    _mm512_storeu_ps(c0 + i * stride, sums[i][0]);
    _mm512_storeu_ps(c1 + i * stride, sums[i][1]);
  }
}

// What gemm_tiles.h and gemm_gated_tiles.h multiply with.
struct PairUnit {
  struct Scope {};
  static void before_products() {}

  // C = (add ? C : 0) + A * B.
  RA_ALWAYS_INLINE static void multiply(const TileQuad& q, bool add) {
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t row = 0; row < 16; row += kPairRows)
        multiply_pairs({.a = q.a[i] + 64 * row,
                        .a_row = 64,
                        .a_step = kTileBytes,
                        .b0 = q.b[0],
                        .b1 = q.b[1],
                        .steps = q.steps},
                       q.c[i][0] + row * q.stride, q.c[i][1] + row * q.stride, q.stride, add);
  }
};

}  // namespace
}  // namespace ra::kernels
