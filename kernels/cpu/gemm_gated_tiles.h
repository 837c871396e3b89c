// SPDX-License-Identifier: Apache-2.0
// The gated half of a feed-forward block on bf16 tiles. Four C tiles: 32 tokens x 16 rows of gate
// and of up, so that a loaded activation tile serves both. Two such steps make a square of 32 x 32,
// which becomes half of two tiles of h. Unit as in gemm_tiles.h.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/activation_lanes_avx512.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/gemm_panel.h"
#include "kernels/cpu/tile_weights.h"
#include "kernels/gemm.h"
#include "kernels/gemm_gated.h"

namespace ra::kernels {
namespace {

namespace gated = gemm_panel::gated;

template <class Unit>
class GatedTiles {
 public:
  explicit GatedTiles(const GatedArgs& a)
      : a_(a),
        steps_(gemm_panel::round_up(a.cols, 32) / 32),
        out_steps_(gemm_panel::round_up(a.out_cols, 32) / 32),
        strip_(reinterpret_cast<float*>(a.scratch + gated::kStripAt)),
        sums_(reinterpret_cast<float*>(a.scratch + gated::kSumsAt)),
        parked_(reinterpret_cast<float*>(a.scratch + gated::kParkedAt)) {}

  void run() {
    using gemm_panel::kPanelCols;
    using gemm_panel::smaller;
    for (std::size_t r = 0; r < a_.rows; r += gated::kRows) {
      const std::size_t rows = smaller(gated::kRows, a_.rows - r);
      for (std::size_t c = 0; c < a_.cols; c += kPanelCols) {
        const std::size_t cols = smaller(kPanelCols, a_.cols - c);
        pack(a_.gate, r, rows, c, cols, a_.scratch);
        pack(a_.up, r, rows, c, cols, a_.scratch + gated::kPanelBytes);
        Unit::before_products();
        for (std::size_t t = 0; t < a_.tokens; t += kGemmTokens)
          for (std::size_t i = 0; i < rows; i += kGemmRows) square(t, r, i, c, cols);
      }
    }
  }

 private:
  void pack(const WeightRows& w, std::size_t r, std::size_t rows, std::size_t c, std::size_t cols,
            std::byte* panel) {
    const std::size_t bytes = gemm_panel::round_up(cols, 32) / 32 * kTileBytes;  // of 16 rows
    for (std::size_t i = 0; i < gemm_panel::round_up(rows, kGemmRows); i += 16)
      pack_weight_rows(w.type, w.w + (r + i) * w.row_bytes, w.row_bytes,
                       i < rows ? gemm_panel::smaller(16, rows - i) : 0, c, cols, strip_,
                       panel + i / 16 * bytes);
  }

  // Rows i .. i + 32 of the panel that starts at row r, columns c .. c + cols.
  void square(std::size_t t, std::size_t r, std::size_t i, std::size_t c, std::size_t cols) {
    for (std::size_t j = 0; j < kGemmRows; j += 16) {
      float* parked = parked_ + (t / kGemmTokens * (gated::kRows / 16) + (i + j) / 16) * 1024;
      const bool last = c + cols == a_.cols;
      // Sums of an earlier panel have to come along.
      if (last && c > 0) copy_parked(parked, sums_ + j);
      multiply(t, i + j, c, (cols + 31) / 32, last ? sums_ + j : parked, last ? kGemmRows : 16);
    }
    if (c + cols != a_.cols) return;
    const std::size_t step = (a_.first + r + i) / 32;
    if (a_.activation == Activation::kSilu)
      write_gated<Activation::kSilu>(t, step);
    else
      write_gated<Activation::kGelu>(t, step);
  }

  // to [gate, up][32 tokens][16 rows], rows `stride` floats apart, and what it holds is added to
  // but in the first panel.
  void multiply(std::size_t t, std::size_t row, std::size_t c, std::size_t steps, float* to,
                std::size_t stride) {
    const std::byte* x = a_.packed + (t / 16 * steps_ + c / 32) * kTileBytes;
    const std::byte* gate = a_.scratch + row / 16 * steps * kTileBytes;
    const std::size_t tile = 16 * stride;
    Unit::multiply({.a = {x, x + steps_ * kTileBytes},
                    .b = {gate, gate + gated::kPanelBytes},
                    .steps = steps,
                    .c = {{to, to + 2 * tile}, {to + tile, to + 3 * tile}},
                    .stride = stride},
                   c > 0);
  }

  static void copy_parked(const float* parked, float* sums) {
    for (std::size_t i = 0; i < 64; ++i)
      _mm512_store_ps(sums + i * kGemmRows, _mm512_load_ps(parked + 16 * i));
  }

  // sums_ [gate, up][32 tokens][32 rows] to tile column `step` of h.
  template <Activation A>
  void write_gated(std::size_t t, std::size_t step) {
    constexpr std::size_t kUp = kGemmTokens * kGemmRows;
    for (std::size_t i = 0; i < kGemmTokens; ++i) {
      const float* g = sums_ + i * kGemmRows;
      const __m512 lo = _mm512_mul_ps(activate<A>(_mm512_load_ps(g)), _mm512_load_ps(g + kUp));
      const __m512 hi =
          _mm512_mul_ps(activate<A>(_mm512_load_ps(g + 16)), _mm512_load_ps(g + kUp + 16));
      std::byte* to = a_.out + ((t + i) / 16 * out_steps_ + step) * kTileBytes + i % 16 * 64;
      _mm512_store_ps(reinterpret_cast<float*>(to), pack_bf16(lo, hi));
    }
  }

  const GatedArgs& a_;
  std::size_t steps_, out_steps_;  // tiles of a packed row of 16 tokens
  float *strip_, *sums_, *parked_;
};

template <class Unit>
void gated_tiles(const GatedArgs& a) {
  [[maybe_unused]] const typename Unit::Scope scope;
  GatedTiles<Unit>(a).run();
}

}  // namespace
}  // namespace ra::kernels
