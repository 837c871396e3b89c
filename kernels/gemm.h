// SPDX-License-Identifier: Apache-2.0
// Y = X W^T for many activation rows (prefill), W in GGUF blocks. A panel of weight rows is decoded
// into scratch memory and multiplied with every activation row, so a weight is decoded once per
// call.
#pragma once

#include <cstddef>

#include "kernels/level.h"
#include "kernels/quant.h"

namespace ra::kernels {

// Rows of a packed activation block; a call may start at any multiple of it.
inline constexpr std::size_t kGemmTokens = 32;
// Row counts of a call are best multiples of this, but any is right.
inline constexpr std::size_t kGemmRows = 32;

// y[t * y_stride + r] = start + sum over c of W[r][c] * x[t][c], r < rows, t < tokens, where start
// is bias[r], 0 without a bias, or what y holds if `add`.
//
// With `packed` (gemm_pack of the same rows; levels avx512 and amx) weights and activations are
// rounded to bf16 and summed in f32; without it both are f32 throughout. Either way an element is
// summed in the order of its columns: the result does not depend on how callers split rows, or
// tokens at multiples of kGemmTokens. No threads.
struct GemmArgs {
  Quant type = Quant::kF32;
  const std::byte* w = nullptr;  // [rows] rows of `cols` weights, row_bytes apart
  std::size_t row_bytes = 0, rows = 0, cols = 0;
  const float* x = nullptr;  // [tokens, cols], rows x_stride apart
  std::size_t x_stride = 0, tokens = 0;
  const std::byte* packed = nullptr;  // 64-byte aligned
  const float* bias = nullptr;        // [rows]
  bool add = false;                   // excludes bias
  float* y = nullptr;
  std::size_t y_stride = 0;
  std::byte* scratch = nullptr;  // gemm_scratch_bytes(cols), 64-byte aligned
};

std::size_t gemm_scratch_bytes(std::size_t cols);  // bounded: below 2 MiB

template <Level L>
void gemm(const GemmArgs& a) noexcept;

// Activations as bf16 tiles, in blocks of kGemmTokens rows padded with zeros.
std::size_t gemm_packed_bytes(std::size_t tokens, std::size_t cols);
// Packs x [tokens, cols] to `packed` (64-byte aligned). A block can be packed on its own: it starts
// at gemm_packed_bytes(first token, cols). OpTable::gemm_pack is null at levels without bf16
// products.
template <Level L>
void gemm_pack(const float* x, std::size_t x_stride, std::size_t tokens, std::size_t cols,
               std::byte* packed) noexcept;

template <>
void gemm<Level::kScalar>(const GemmArgs& a) noexcept;
template <>
void gemm<Level::kAvx2>(const GemmArgs& a) noexcept;
template <>
void gemm<Level::kAvx512>(const GemmArgs& a) noexcept;
template <>
void gemm<Level::kAmx>(const GemmArgs& a) noexcept;
template <>
void gemm_pack<Level::kAvx512>(const float* x, std::size_t x_stride, std::size_t tokens,
                               std::size_t cols, std::byte* packed) noexcept;

}  // namespace ra::kernels
