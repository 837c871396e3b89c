// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/activation_lanes_avx512.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/amx_weights.h"
#include "kernels/cpu/gemm_panel.h"
#include "kernels/gemm.h"
#include "kernels/gemm_gated.h"

// Four C tiles: 32 tokens x 16 rows of gate and of up, so that a loaded activation tile serves
// both. Two such steps make a square of 32 x 32, which becomes half of two tiles of h.
namespace ra::kernels {
namespace {

using gemm_panel::kPanelCols;
using gemm_panel::round_up;
using gemm_panel::smaller;
namespace gated = gemm_panel::gated;

class GatedAmx {
 public:
  explicit GatedAmx(const GatedArgs& a)
      : a_(a),
        steps_(round_up(a.cols, 32) / 32),
        out_steps_(round_up(a.out_cols, 32) / 32),
        strip_(reinterpret_cast<float*>(a.scratch + gated::kStripAt)),
        sums_(reinterpret_cast<float*>(a.scratch + gated::kSumsAt)),
        parked_(reinterpret_cast<float*>(a.scratch + gated::kParkedAt)) {}

  void run() {
    for (std::size_t r = 0; r < a_.rows; r += gated::kRows) {
      const std::size_t rows = smaller(gated::kRows, a_.rows - r);
      for (std::size_t c = 0; c < a_.cols; c += kPanelCols) {
        const std::size_t cols = smaller(kPanelCols, a_.cols - c);
        pack(a_.gate, r, rows, c, cols, a_.scratch);
        pack(a_.up, r, rows, c, cols, a_.scratch + gated::kPanelBytes);
        before_tile_loads();
        for (std::size_t t = 0; t < a_.tokens; t += kGemmTokens)
          for (std::size_t i = 0; i < rows; i += kGemmRows) square(t, r, i, c, cols);
      }
    }
  }

 private:
  void pack(const WeightRows& w, std::size_t r, std::size_t rows, std::size_t c, std::size_t cols,
            std::byte* panel) {
    const std::size_t bytes = round_up(cols, 32) / 32 * kTileBytes;  // of 16 rows
    for (std::size_t i = 0; i < round_up(rows, kGemmRows); i += 16)
      pack_weight_rows(w.type, w.w + (r + i) * w.row_bytes, w.row_bytes,
                       i < rows ? smaller(16, rows - i) : 0, c, cols, strip_,
                       panel + i / 16 * bytes);
  }

  // Rows i .. i + 32 of the panel that starts at row r, columns c .. c + cols.
  void square(std::size_t t, std::size_t r, std::size_t i, std::size_t c, std::size_t cols) {
    for (std::size_t j = 0; j < kGemmRows; j += 16) {
      float* parked = parked_ + (t / kGemmTokens * (gated::kRows / 16) + (i + j) / 16) * 1024;
      if (c == 0) {
        zero_sums();
      } else {
        before_tile_loads();
        _tile_loadd(0, parked, 64);
        _tile_loadd(1, parked + 256, 64);
        _tile_loadd(2, parked + 512, 64);
        _tile_loadd(3, parked + 768, 64);
      }
      multiply(t, i + j, c, (cols + 31) / 32);
      const bool last = c + cols == a_.cols;
      float* to = last ? sums_ + j : parked;
      const std::size_t stride = last ? kGemmRows * 4 : 64, tile = last ? 16 * kGemmRows : 256;
      _tile_stored(0, to, stride);
      _tile_stored(1, to + tile, stride);
      _tile_stored(2, to + 2 * tile, stride);
      _tile_stored(3, to + 3 * tile, stride);
    }
    if (c + cols != a_.cols) return;
    const std::size_t step = (a_.first + r + i) / 32;
    if (a_.activation == Activation::kSilu)
      write_gated<Activation::kSilu>(t, step);
    else
      write_gated<Activation::kGelu>(t, step);
  }

  // Tiles 0, 1: gate of tokens t .. t + 32; 2, 3: up.
  void multiply(std::size_t t, std::size_t row, std::size_t c, std::size_t steps) {
    const std::byte* x = a_.packed + (t / 16 * steps_ + c / 32) * kTileBytes;
    const std::byte* gate = a_.scratch + row / 16 * steps * kTileBytes;
    const std::byte* up = gate + gated::kPanelBytes;
    const std::size_t x_next = steps_ * kTileBytes;
    for (std::size_t k = 0; k < steps; ++k, x += kTileBytes, gate += kTileBytes, up += kTileBytes) {
      _tile_loadd(4, x, 64);
      _tile_loadd(6, gate, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, x + x_next, 64);
      _tile_dpbf16ps(1, 5, 6);
      _tile_loadd(7, up, 64);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
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

}  // namespace

template <>
void gemm_gated<Level::kAmx>(const GatedArgs& a) noexcept {
  const AmxScope amx;
  GatedAmx(a).run();
}

}  // namespace ra::kernels
