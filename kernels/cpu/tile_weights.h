// SPDX-License-Identifier: Apache-2.0
// Weight rows as bf16 B tiles. For sources built with the avx512 flags or wider; in an anonymous
// namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/gemm_panel.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/unroll.h"
#include "kernels/quant.h"

namespace ra::kernels {
namespace {

// Columns c .. c + cols of `count` <= 16 weight rows at w to B tiles [steps][16 pairs][16 rows] at
// `to`; zero beyond count and cols. strip: [16, kPanelCols] f32.
inline void pack_weight_rows(Quant type, const std::byte* w, std::size_t row_bytes,
                             std::size_t count, std::size_t c, std::size_t cols, float* strip,
                             std::byte* to) {
  using gemm_panel::kPanelCols;
  const QuantInfo& info = quant_info(type);
  for (std::size_t j = 0; j < count; ++j)
    decode_row<Level::kAvx512>(type, w + j * row_bytes + c / info.block * info.block_bytes,
                               strip + j * kPanelCols, cols);
  for (std::size_t k = 0; k < cols; k += 32, to += kTileBytes) {
    __m512 pairs[16];
    RA_UNROLL(16)
    for (std::size_t j = 0; j < 16; ++j)
      pairs[j] = j < count ? load_bf16(strip + j * kPanelCols + k, cols - k) : _mm512_setzero_ps();
    Simd::transpose(pairs);
    RA_UNROLL(16)
    for (std::size_t j = 0; j < 16; ++j)
      _mm512_store_ps(reinterpret_cast<float*>(to) + 16 * j, pairs[j]);
  }
}

}  // namespace
}  // namespace ra::kernels
