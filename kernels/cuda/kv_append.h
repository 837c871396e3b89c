// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/attend.h"

namespace ra::cuda {

// Rows x [tokens, kv_heads * dim] to positions pos.. of a cache [kv_heads, capacity, dim] of f32 or
// bf16.
struct AppendArgs {
  const float* x = nullptr;
  std::size_t x_stride = 0, tokens = 0;
  std::size_t kv_heads = 0, dim = 0, capacity = 0, pos = 0;
  kernels::KvType type = kernels::KvType::kBf16;
  void* cache = nullptr;
};
void kv_append(cudaStream_t stream, const AppendArgs& a);

}  // namespace ra::cuda
