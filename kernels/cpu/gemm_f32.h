// SPDX-License-Identifier: Apache-2.0
// The f32 GEMM over Simd: see gemm_panel.h for the blocking.
#pragma once

#include <cstddef>

#include "kernels/cpu/gemm_panel.h"
#include "kernels/cpu/tile_f32.h"
#include "kernels/cpu/unroll.h"
#include "kernels/gemm.h"

namespace ra::kernels {
namespace {

template <class S, Level L>
class GemmF32 {
  using V = typename S::V;
  static constexpr std::size_t kCols = kTileCols<S>;  // weight rows of a register tile

 public:
  explicit GemmF32(const GemmArgs& a)
      : a_(a),
        block_(quant_info(a.type).block),
        block_bytes_(quant_info(a.type).block_bytes),
        panel_(reinterpret_cast<float*>(a.scratch)),
        strip_(reinterpret_cast<float*>(a.scratch + gemm_panel::kStripAt)),
        sums_(reinterpret_cast<float*>(a.scratch + gemm_panel::kSumsAt)) {}

  void run() {
    using namespace gemm_panel;
    for (std::size_t r = 0; r < a_.rows; r += kRowsF32) {
      const std::size_t rows = smaller(kRowsF32, a_.rows - r);
      for (std::size_t c = 0; c < a_.cols; c += kPanelCols) {
        const std::size_t cols = smaller(kPanelCols, a_.cols - c);
        for (std::size_t i = 0; i < rows; i += S::kLanes)
          pack_rows(r + i, smaller(S::kLanes, rows - i), c, cols, i);
        for (std::size_t t = 0; t < a_.tokens; t += S::kTileRows)
          for (std::size_t i = 0; i < rows; i += kCols)
            multiply(t, smaller(S::kTileRows, a_.tokens - t), r + i, smaller(kCols, rows - i), c,
                     cols, panel_ + i * cols);
      }
    }
  }

 private:
  // The panel is [rows / kCols][cols][kCols]: decodes rows r.. and transposes them to lanes i.. of
  // it.
  void pack_rows(std::size_t r, std::size_t count, std::size_t c, std::size_t cols, std::size_t i) {
    for (std::size_t j = 0; j < count; ++j)
      decode_row<L>(a_.type, a_.w + (r + j) * a_.row_bytes + c / block_ * block_bytes_,
                    strip_ + j * gemm_panel::kPanelCols, cols);
    float* to = panel_ + i / kCols * kCols * cols + i % kCols;
    std::size_t k = 0;
    if (count == S::kLanes)
      for (; k + S::kLanes <= cols; k += S::kLanes) {
        V v[S::kLanes];
        RA_UNROLL(16)
        for (std::size_t j = 0; j < S::kLanes; ++j)
          v[j] = S::load(strip_ + j * gemm_panel::kPanelCols + k);
        S::transpose(v);
        RA_UNROLL(16)
        for (std::size_t j = 0; j < S::kLanes; ++j) S::store(to + (k + j) * kCols, v[j]);
      }
    for (; k < cols; ++k)
      for (std::size_t j = 0; j < S::kLanes; ++j)
        to[k * kCols + j] = j < count ? strip_[j * gemm_panel::kPanelCols + k] : 0;
    // A half-empty last tile: lanes that no row fills are multiplied, and dropped.
    if (i % kCols == 0 && r + count == a_.rows)
      for (k = 0; k < cols; ++k) S::store(to + k * kCols + S::kLanes, S::zero());
  }

  // y[t.., r..] += x[t.., c..] * panel tile
  void multiply(std::size_t t, std::size_t tokens, std::size_t r, std::size_t rows, std::size_t c,
                std::size_t cols, const float* w) {
    float* y = a_.y + t * a_.y_stride + r;
    const float* x = a_.x + t * a_.x_stride + c;
    const bool whole = rows == kCols;
    float* sums = whole ? y : sums_;
    const std::size_t stride = whole ? a_.y_stride : kCols;
    for (std::size_t i = 0; i < tokens; ++i)
      for (std::size_t j = 0; j < rows; ++j) {
        float* to = sums + i * stride + j;
        if (c > 0 || a_.add) {
          *to = y[i * a_.y_stride + j];
        } else {
          *to = a_.bias != nullptr ? a_.bias[r + j] : 0;
        }
      }
    tile_product<S>(x, a_.x_stride, 1, w, kCols, cols, sums, stride, tokens);
    if (!whole)
      for (std::size_t i = 0; i < tokens; ++i)
        for (std::size_t j = 0; j < rows; ++j) y[i * a_.y_stride + j] = sums[i * kCols + j];
  }

  const GemmArgs& a_;
  std::size_t block_, block_bytes_;
  float *panel_, *strip_, *sums_;
};

template <class S, Level L>
void gemm_f32(const GemmArgs& a) {
  GemmF32<S, L>(a).run();
}

}  // namespace
}  // namespace ra::kernels
