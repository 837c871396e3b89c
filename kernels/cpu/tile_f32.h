// SPDX-License-Identifier: Apache-2.0
// The f32 register tile and exp that attention and GEMM share, written once over S = Simd of
// simd_avx2.h or simd_avx512.h. Anonymous, so each source keeps its own copy.
#pragma once

#include <cstddef>

#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Columns of a register tile: two vectors.
template <class S>
inline constexpr std::size_t kTileCols = 2 * S::kLanes;

// exp(x) for x <= 88, relative error below 2e-7; exactly 0 from about -104 (AVX2: -87.3) down.
// Range reduction and coefficients of Cephes expf.
template <class S>
RA_ALWAYS_INLINE typename S::V exp_lanes(typename S::V x) {
  using V = typename S::V;
  x = S::max(x, S::set1(-200.0f));  // -inf too; below, 2^n is 0 anyway
  const V n = S::round(S::mul(x, S::set1(1.44269504088896341f)));
  V r = S::fnma(n, S::set1(0.693359375f), x);
  r = S::fnma(n, S::set1(-2.12194440e-4f), r);
  V p = S::set1(1.9875691500e-4f);
  for (const float c :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = S::fma(p, r, S::set1(c));
  p = S::add(S::fma(p, S::mul(r, r), r), S::set1(1.0f));
  return S::scale_exponent(p, n);
}

// c [R, kTileCols] += a [R, n] * b [n, kTileCols]: a(i, k) = a[i * a_row + k * a_k], so a matrix
// and its transpose serve alike; rows of b and c lie b_row and c_row apart. Each element is one
// chain of fused multiply-adds in the order of k, whatever R is.
template <class S, std::size_t R>
RA_ALWAYS_INLINE void tile_rows(const float* a, std::size_t a_row, std::size_t a_k, const float* b,
                                std::size_t b_row, std::size_t n, float* c, std::size_t c_row) {
  using V = typename S::V;
  V acc[R][2];
  RA_UNROLL(16)
  for (std::size_t i = 0; i < R; ++i) {
    acc[i][0] = S::load(c + i * c_row);
    acc[i][1] = S::load(c + i * c_row + S::kLanes);
  }
  for (std::size_t k = 0; k < n; ++k) {
    const V b0 = S::load(b + k * b_row), b1 = S::load(b + k * b_row + S::kLanes);
    const float* ak = a + k * a_k;
    RA_UNROLL(16)
    for (std::size_t i = 0; i < R; ++i) {
      const V ai = S::set1(ak[i * a_row]);
      acc[i][0] = S::fma(ai, b0, acc[i][0]);
      acc[i][1] = S::fma(ai, b1, acc[i][1]);
    }
  }
  RA_UNROLL(16)
  for (std::size_t i = 0; i < R; ++i) {
    S::store(c + i * c_row, acc[i][0]);
    S::store(c + i * c_row + S::kLanes, acc[i][1]);
  }
}

// The same for any number of rows.
template <class S>
void tile_product(const float* a, std::size_t a_row, std::size_t a_k, const float* b,
                  std::size_t b_row, std::size_t n, float* c, std::size_t c_row, std::size_t rows) {
  std::size_t i = 0;
  for (; i + S::kTileRows <= rows; i += S::kTileRows)
    tile_rows<S, S::kTileRows>(a + i * a_row, a_row, a_k, b, b_row, n, c + i * c_row, c_row);
  for (; i + 2 <= rows; i += 2)
    tile_rows<S, 2>(a + i * a_row, a_row, a_k, b, b_row, n, c + i * c_row, c_row);
  if (i < rows) tile_rows<S, 1>(a + i * a_row, a_row, a_k, b, b_row, n, c + i * c_row, c_row);
}

}  // namespace
}  // namespace ra::kernels
