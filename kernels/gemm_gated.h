// SPDX-License-Identifier: Apache-2.0
// The first half of a gated feed-forward block for many activation rows (prefill):
// h = a(x gate^T) * (x up^T) with the activation a (Shazeer, arXiv 2002.05202). Both products stay
// in registers and the result goes straight into the tiles that the next GEMM reads, so nothing f32
// passes through memory.
#pragma once

#include <cstddef>

#include "kernels/activation.h"
#include "kernels/level.h"
#include "kernels/quant.h"

namespace ra::kernels {

// Weight rows in GGUF blocks.
struct WeightRows {
  Quant type = Quant::kF32;
  const std::byte* w = nullptr;
  std::size_t row_bytes = 0;
};

// Columns first .. first + rows of h [tokens, out_cols], both factors `rows` weight rows of `cols`.
// Products and sums as in gemm with packed activations (gemm.h), a in f32, h rounded to bf16.
// The result does not depend on how callers split rows (at multiples of kGemmRows) or tokens (at
// multiples of kGemmTokens). No threads.
struct GatedArgs {
  WeightRows gate, up;
  Activation activation = Activation::kSilu;
  std::size_t rows = 0, cols = 0, tokens = 0;
  const std::byte* packed = nullptr;  // gemm_pack of x [tokens, cols]
  std::byte* out = nullptr;  // packed h: gemm_packed_bytes(tokens, out_cols), 64-byte aligned
  std::size_t out_cols = 0, first = 0;  // first: a multiple of kGemmRows
  std::byte* scratch = nullptr;         // gated_scratch_bytes(tokens, cols), 64-byte aligned
};

std::size_t gated_scratch_bytes(std::size_t tokens, std::size_t cols);

// OpTable::gemm_gated is null at levels without bf16 products.
template <Level L>
void gemm_gated(const GatedArgs& a) noexcept;
template <>
void gemm_gated<Level::kAvx512>(const GatedArgs& a) noexcept;
template <>
void gemm_gated<Level::kAmx>(const GatedArgs& a) noexcept;

}  // namespace ra::kernels
