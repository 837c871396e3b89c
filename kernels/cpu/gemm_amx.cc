// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/amx_weights.h"
#include "kernels/cpu/gemm_panel.h"
#include "kernels/gemm.h"

// bf16 tiles: A = activations [16 tokens, 32], B = weights [32, 16 rows] as pairs, C = y. Four C
// tiles (32 tokens x 32 rows) use each loaded tile twice, which halves the loads. A block of y
// takes all columns of a panel at once: its sums are written to distant lines, which costs more
// than tiles of x that come from the second-level cache instead of the first.
namespace ra::kernels {
namespace {

using gemm_panel::kPanelCols;
using gemm_panel::round_up;
using gemm_panel::smaller;

constexpr std::size_t kPanelRows = gemm_panel::kRowsBf16;

class GemmAmx {
 public:
  explicit GemmAmx(const GemmArgs& a)
      : a_(a),
        panel_(a.scratch),
        strip_(reinterpret_cast<float*>(a.scratch + gemm_panel::kStripAt)),
        sums_(reinterpret_cast<float*>(a.scratch + gemm_panel::kSumsAt)),
        token_steps_(round_up(a.cols, 32) / 32) {}

  void run() {
    for (std::size_t r = 0; r < a_.rows; r += kPanelRows) {
      const std::size_t rows = smaller(kPanelRows, a_.rows - r);
      for (std::size_t c = 0; c < a_.cols; c += kPanelCols) {
        const std::size_t cols = smaller(kPanelCols, a_.cols - c), steps = (cols + 31) / 32;
        for (std::size_t i = 0; i < round_up(rows, kGemmRows); i += 16)
          pack_weight_rows(a_.type, a_.w + (r + i) * a_.row_bytes, a_.row_bytes,
                           i < rows ? smaller(16, rows - i) : 0, c, cols, strip_,
                           panel_ + i / 16 * steps * kTileBytes);
        before_tile_loads();
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
    const std::size_t tokens = smaller(kGemmTokens, a_.tokens - b.token), rows = b.rows;
    const std::byte* x = a_.packed + b.token * token_steps_ * 64 + first * kTileBytes;
    float* y = a_.y + b.token * a_.y_stride + b.row;
    const bool whole = tokens == kGemmTokens && rows == kGemmRows;
    float* sums = whole ? y : sums_;
    const std::size_t stride = whole ? a_.y_stride : kGemmRows;
    if (first > 0 || a_.add) {
      if (!whole) copy(y, a_.y_stride, sums, stride, tokens, rows);
      load_sums(sums, 4 * stride);
    } else if (a_.bias != nullptr) {
      for (std::size_t i = 0; i < tokens; ++i)
        copy(a_.bias + b.row, 0, sums + i * stride, 0, 1, rows);
      load_sums(sums, 4 * stride);
    } else {
      zero_sums();
    }
    const std::size_t x_next = token_steps_ * kTileBytes, w_next = steps * kTileBytes;
    for (std::size_t k = 0; k < steps; ++k, x += kTileBytes, w += kTileBytes) {
      _tile_loadd(4, x, 64);
      _tile_loadd(6, w, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, w + w_next, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, x + x_next, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    store_sums(sums, 4 * stride);
    if (!whole) copy(sums, stride, y, a_.y_stride, tokens, rows);
  }

  static void load_sums(const float* y, std::size_t stride_bytes) {
    before_tile_loads();
    _tile_loadd(0, y, stride_bytes);
    _tile_loadd(1, y + 16, stride_bytes);
    _tile_loadd(2, y + 4 * stride_bytes, stride_bytes);
    _tile_loadd(3, y + 4 * stride_bytes + 16, stride_bytes);
  }
  static void store_sums(float* y, std::size_t stride_bytes) {
    _tile_stored(0, y, stride_bytes);
    _tile_stored(1, y + 16, stride_bytes);
    _tile_stored(2, y + 4 * stride_bytes, stride_bytes);
    _tile_stored(3, y + 4 * stride_bytes + 16, stride_bytes);
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

}  // namespace

template <>
void gemm<Level::kAmx>(const GemmArgs& a) noexcept {
  if (a.packed == nullptr) return gemm<Level::kAvx512>(a);
  const AmxScope amx;
  GemmAmx(a).run();
}

// [tokens / 16][cols / 32][16 tokens][32]
template <>
void gemm_pack<Level::kAmx>(const float* x, std::size_t x_stride, std::size_t tokens,
                            std::size_t cols, std::byte* packed) noexcept {
  const std::size_t steps = (cols + 31) / 32;
  float* to = reinterpret_cast<float*>(packed);
  for (std::size_t t = 0; t < round_up(tokens, kGemmTokens); ++t)
    for (std::size_t k = 0; k < steps; ++k) {
      const __m512 v =
          t < tokens ? load_bf16(x + t * x_stride + 32 * k, cols - 32 * k) : _mm512_setzero_ps();
      _mm512_store_ps(to + (t / 16 * steps + k) * 256 + t % 16 * 16, v);
    }
}

}  // namespace ra::kernels
