// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemv.h"

#include <algorithm>

#include "kernels/dot.h"

namespace ra::kernels {

// Weights are decoded a piece at a time, small enough to stay in the first-level cache, and used
// for every token before the next piece.
template <Level L>
void gemv_f32(const GemvArgs& a) noexcept {
  constexpr std::size_t kPiece = 1024;  // weights, a multiple of every block
  const QuantInfo& info = quant_info(a.type);
  alignas(64) float piece[kPiece];
  for (std::size_t r = 0; r < a.rows; ++r) {
    const std::byte* row = a.w + r * a.row_bytes;
    for (std::size_t t = 0; t < a.x.tokens && !a.add; ++t) a.y[t * a.y_stride + r] = 0;
    for (std::size_t col = 0; col < a.x.cols; col += kPiece) {
      const std::size_t n = std::min(kPiece, a.x.cols - col);
      decode_row<L>(a.type, row + col / info.block * info.block_bytes, piece, n);
      for (std::size_t t = 0; t < a.x.tokens; ++t)
        a.y[t * a.y_stride + r] += dot<L>(piece, a.x.x + t * a.x.x_stride + col, n);
    }
  }
}

template void gemv_f32<Level::kScalar>(const GemvArgs& a) noexcept;
template void gemv_f32<Level::kAvx2>(const GemvArgs& a) noexcept;
template void gemv_f32<Level::kAvx512>(const GemvArgs& a) noexcept;

}  // namespace ra::kernels
