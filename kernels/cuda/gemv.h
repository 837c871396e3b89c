// SPDX-License-Identifier: Apache-2.0
// y = W x for a few activation rows, straight from GGUF blocks: the device's kernels/gemv.h, with
// the same two precisions and the same quantised activations. Bound by memory: each weight is read
// once for up to kGemvTokens rows.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/cuda/weights.h"

namespace ra::cuda {

constexpr std::size_t kGemvTokens = 8;

struct QuantizeArgs {
  const float* x = nullptr;  // [tokens, cols]
  std::size_t x_stride = 0, tokens = 0, cols = 0;
  std::byte* out = nullptr;  // tokens * kernels::quantized_row_bytes(cols)
};
// The bits of kernels::quantize_rows.
void quantize_rows(cudaStream_t stream, const QuantizeArgs& a);

// y[t * y_stride + r] = bias[r] + (add ? y[...] : 0) + sum over c of W[r][c] * x[t][c], with at
// most kGemvTokens tokens.
struct GemvArgs {
  WeightRows w;
  const float* x = nullptr;  // [tokens, cols]
  std::size_t x_stride = 0, tokens = 0;
  // quantize_rows of x: integer products, for formats with blocks. Null: f32 products.
  const std::byte* quantized = nullptr;
  const float* bias = nullptr;  // [rows], or null
  bool add = false;
  float* y = nullptr;
  std::size_t y_stride = 0;
};
void gemv(cudaStream_t stream, const GemvArgs& a);

}  // namespace ra::cuda
