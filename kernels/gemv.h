// SPDX-License-Identifier: Apache-2.0
// y = W x for a few activation rows (decode), straight from GGUF blocks: every weight is read from
// memory once. Two precisions:
//   gemv_f32  weights decoded to f32, f32 products.
//   gemv      quantised weights: activations rounded to 16-bit integers in blocks of 32 by
//             quantize_rows, exact integer inner products per (sub-)block, f32 scales. F32, F16 and
//             BF16 weights take the f32 activations. The scalar level is the specification; other
//             levels differ from it in the order and rounding of the f32 sums only.
//
// An activation is kept as two signed bytes, so that int8 instructions multiply it: w * x =
// 256 * w * high + w * low. One byte alone would be the largest error of decoding by far, and the
// second costs little while the weights come from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"
#include "kernels/quant.h"
#include "kernels/types.h"

namespace ra::kernels {

inline constexpr std::size_t kActBlock = 32;     // activations that share a scale
inline constexpr int kActMax = 127 * 256 + 127;  // the largest of them

// Activation rows of one matmul; views of the caller's memory.
struct Activations {
  const float* x = nullptr;  // [tokens, cols], rows x_stride apart
  std::size_t x_stride = 0, tokens = 0, cols = 0;
  // [tokens] rows of quantized_row_bytes(cols), written by quantize_rows; may be null for gemv_f32
  // and for F32, F16, BF16 weights. 64-byte aligned.
  const std::byte* quantized = nullptr;
};

// One quantised row: with blocks = cols / 32 rounded up to a multiple of 8, five arrays in order,
//   int8  high[32 * blocks]    x[i] ~ scale[i / 32] * (256 * high[i] + low[i])
//   int8  low[32 * blocks]     both of magnitude <= 127
//   float scale[blocks]        max |x| of the block / kActMax
//   float sum[blocks]          scale * sum of the integers (for formats with offsets)
//   float half_sum[2 * blocks] the same over 16 values (for sub-blocks of 16)
// Zero past cols. A block with a NaN or an infinity has scale NaN and zeros, so it stays visible.
struct QuantizedRow {
  std::int8_t *high, *low;
  float *scale, *sum, *half_sum;
};
RA_ALWAYS_INLINE constexpr std::size_t act_blocks(std::size_t cols) {
  return (cols + 8 * kActBlock - 1) / (8 * kActBlock) * 8;
}
RA_ALWAYS_INLINE constexpr std::size_t quantized_row_bytes(std::size_t cols) {
  return act_blocks(cols) * (2 * kActBlock + 4 * sizeof(float));
}
RA_ALWAYS_INLINE QuantizedRow quantized_row(std::byte* row, std::size_t cols) {
  const std::size_t blocks = act_blocks(cols);
  auto* high = reinterpret_cast<std::int8_t*>(row);
  auto* scale = reinterpret_cast<float*>(row + 2 * blocks * kActBlock);
  return {high, high + blocks * kActBlock, scale, scale + blocks, scale + 2 * blocks};
}
// Row t of a.quantized, for reading.
RA_ALWAYS_INLINE QuantizedRow quantized_row(const Activations& a, std::size_t t) {
  return quantized_row(const_cast<std::byte*>(a.quantized) + t * quantized_row_bytes(a.cols),
                       a.cols);
}

// Writes a.tokens quantised rows of a.x to `out` (tokens * quantized_row_bytes(cols), 64-byte
// aligned). Rounds to nearest even (one more where the low byte would be -128); bit-identical at
// every level.
template <Level L>
void quantize_rows(const Activations& a, std::byte* out) noexcept;

// y[t * y_stride + r] = (add ? y[...] : 0) + sum over c of W[r][c] * x[t][c], r < rows, t < tokens.
// No threads: callers split the rows.
struct GemvArgs {
  Quant type = Quant::kF32;
  const std::byte* w = nullptr;  // [rows] rows of x.cols weights, row_bytes apart
  std::size_t row_bytes = 0, rows = 0;
  Activations x;
  float* y = nullptr;
  std::size_t y_stride = 0;
  bool add = false;
};

template <Level L>
void gemv(const GemvArgs& a) noexcept;
template <Level L>
void gemv_f32(const GemvArgs& a) noexcept;  // defined for every level in gemv.cc

template <>
void quantize_rows<Level::kScalar>(const Activations& a, std::byte* out) noexcept;
template <>
void quantize_rows<Level::kAvx2>(const Activations& a, std::byte* out) noexcept;
template <>
void quantize_rows<Level::kAvx512>(const Activations& a, std::byte* out) noexcept;
extern template void gemv_f32<Level::kScalar>(const GemvArgs& a) noexcept;
extern template void gemv_f32<Level::kAvx2>(const GemvArgs& a) noexcept;
extern template void gemv_f32<Level::kAvx512>(const GemvArgs& a) noexcept;
template <>
void gemv<Level::kScalar>(const GemvArgs& a) noexcept;
template <>
void gemv<Level::kAvx2>(const GemvArgs& a) noexcept;
template <>
void gemv<Level::kAvx512>(const GemvArgs& a) noexcept;

}  // namespace ra::kernels
