// SPDX-License-Identifier: Apache-2.0
// Weights are views into the mapped GGUF file: no copy.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "kernels/quant.h"

namespace ra::model {

// [rows, cols] in GGUF blocks; a vector (norm gain, bias) is one row. data == nullptr: absent.
struct Weight {
  kernels::Quant type = kernels::Quant::kF32;
  const std::byte* data = nullptr;
  std::size_t rows = 0, cols = 0, row_bytes = 0;
  explicit operator bool() const { return data != nullptr; }
  Weight row_range(std::size_t first, std::size_t count) const {
    return {type, data + first * row_bytes, count, cols, row_bytes};
  }
};

struct LayerWeights {
  Weight attn_norm, wq, wk, wv, bq, bk, bv, wo;
  Weight q_norm, k_norm;  // [head_dim], or absent
  Weight ffn_norm, gate, up, down;
  Weight attn_post_norm, ffn_post_norm;  // [dim], or absent
  // What activations are multiplied with.
  std::array<const Weight*, 7> matrices() const { return {&wq, &wk, &wv, &wo, &gate, &up, &down}; }
};

struct Weights {
  Weight token_embd, output_norm, output;  // output may be a view of token_embd (tied)
  Weight rope_freqs;                       // f32 divisors of the rotary frequencies, or absent
  std::vector<LayerWeights> layers;
};

}  // namespace ra::model
