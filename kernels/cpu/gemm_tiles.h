// SPDX-License-Identifier: Apache-2.0
// The GEMM on bf16 tiles: A = activations [16 tokens, 32], B = weights [32, 16 rows] as pairs, C =
// y. Four C tiles (32 tokens x 32 rows) use each loaded tile twice, which halves the loads. A block
// of y takes all columns of a panel at once: its sums are written to distant lines, which costs
// more than tiles of x that come from the second-level cache instead of the first. Unit is AmxUnit
// (amx_tiles.h) or PairUnit (pairs_avx512.h); for sources built with its flags only.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/gemm_panel.h"
#include "kernels/cpu/tile_weights.h"
#include "kernels/gemm.h"

namespace ra::kernels {
namespace {

template <class Unit>
class GemmTiles {
  static constexpr std::size_t kPanelRows = gemm_panel::kRowsBf16;

 public:
  explicit GemmTiles(const GemmArgs& a)
      : a_(a),
        panel_(a.scratch),
        strip_(reinterpret_cast<float*>(a.scratch + gemm_panel::kStripAt)),
        sums_(reinterpret_cast<float*>(a.scratch + gemm_panel::kSumsAt)),
        token_steps_(gemm_panel::round_up(a.cols, 32) / 32) {}

  void run() {
    using namespace gemm_panel;
    for (std::size_t r = 0; r < a_.rows; r += kPanelRows) {
      const std::size_t rows = smaller(kPanelRows, a_.rows - r);
      for (std::size_t c = 0; c < a_.cols; c += kPanelCols) {
        const std::size_t cols = smaller(kPanelCols, a_.cols - c), steps = (cols + 31) / 32;
        for (std::size_t i = 0; i < round_up(rows, kGemmRows); i += 16)
          pack_weight_rows(a_.type, a_.w + (r + i) * a_.row_bytes, a_.row_bytes,
                           i < rows ? smaller(16, rows - i) : 0, c, cols, strip_,
                           panel_ + i / 16 * steps * kTileBytes);
        Unit::before_products();
        for (std::size_t t = 0; t < a_.tokens; t += kGemmTokens)
          for (std::size_t i = 0; i < rows; i += kGemmRows)
            multiply({t, r + i, smaller(kGemmRows, rows - i)}, c / 32, steps,
                     panel_ + i / 16 * steps * kTileBytes);
      }
    }
  }

 private:
  struct Block {  // of y
    std::size_t token, row, rows;
  };

  // y += tiles first .. first + steps of the block's tokens times those of 32 rows of the panel.
  void multiply(const Block& b, std::size_t first, std::size_t steps, const std::byte* w) {
    const std::size_t tokens = gemm_panel::smaller(kGemmTokens, a_.tokens - b.token), rows = b.rows;
    const std::byte* x = a_.packed + b.token * token_steps_ * 64 + first * kTileBytes;
    float* y = a_.y + b.token * a_.y_stride + b.row;
    const bool whole = tokens == kGemmTokens && rows == kGemmRows;
    float* sums = whole ? y : sums_;
    const std::size_t stride = whole ? a_.y_stride : kGemmRows;
    const bool parked = first > 0 || a_.add, biased = !parked && a_.bias != nullptr;
    if (parked && !whole) copy(y, a_.y_stride, sums, stride, tokens, rows);
    for (std::size_t i = 0; biased && i < tokens; ++i)
      copy(a_.bias + b.row, 0, sums + i * stride, 0, 1, rows);
    Unit::multiply({.a = {x, x + token_steps_ * kTileBytes},
                    .b = {w, w + steps * kTileBytes},
                    .steps = steps,
                    .c = {{sums, sums + 16}, {sums + 16 * stride, sums + 16 * stride + 16}},
                    .stride = stride},
                   parked || biased);
    if (!whole) copy(sums, stride, y, a_.y_stride, tokens, rows);
  }

  static void copy(const float* from, std::size_t from_stride, float* to, std::size_t to_stride,
                   std::size_t n, std::size_t cols) {
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < cols; ++j) to[i * to_stride + j] = from[i * from_stride + j];
  }

  const GemmArgs& a_;
  std::byte* panel_;
  float *strip_, *sums_;
  std::size_t token_steps_;  // tiles of a packed row of 16 tokens
};

template <class Unit>
void gemm_tiles(const GemmArgs& a) {
  [[maybe_unused]] const typename Unit::Scope scope;
  GemmTiles<Unit>(a).run();
}

}  // namespace
}  // namespace ra::kernels
