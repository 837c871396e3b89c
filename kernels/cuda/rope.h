// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace ra::cuda {

// cos and sin [tokens, pairs] of the positions pos..: angle = pos * inv_freq[i] in f64.
struct AngleArgs {
  const double* inv_freq = nullptr;  // [pairs], on the device
  std::int64_t pos = 0;
  std::size_t tokens = 0, pairs = 0;
  float magnitude = 1;
  float* cos = nullptr;
  float* sin = nullptr;
};
void rope_angles(cudaStream_t stream, const AngleArgs& a);

// kernels/rope.h for every token of x [tokens, heads * head_dim], in place.
struct RopeArgs {
  float* x = nullptr;
  std::size_t stride = 0, tokens = 0;
  std::size_t heads = 0, head_dim = 0, rotary_dims = 0;
  const float* cos = nullptr;  // [tokens, rotary_dims / 2]
  const float* sin = nullptr;
  bool interleaved = false;
};
void rope(cudaStream_t stream, const RopeArgs& a);

}  // namespace ra::cuda
