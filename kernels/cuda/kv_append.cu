// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/kv_append.h"
#include "kernels/cuda/launch.h"
#include "kernels/types.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 256;

__global__ void append(AppendArgs a) {
  const std::size_t width = a.kv_heads * a.dim;
  const std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= a.tokens * width) return;
  const std::size_t token = i / width, head = i % width / a.dim, j = i % a.dim;
  const float v = a.x[token * a.x_stride + i % width];
  const std::size_t to = (head * a.capacity + a.pos + token) * a.dim + j;
  if (a.type == kernels::KvType::kF32)
    static_cast<float*>(a.cache)[to] = v;
  else
    static_cast<bf16*>(a.cache)[to] = to_bf16(v);
}

}  // namespace

void kv_append(cudaStream_t stream, const AppendArgs& a) {
  const std::size_t n = a.tokens * a.kv_heads * a.dim;
  if (n > 0)
    launch(stream, {static_cast<unsigned>(divide_up<std::size_t>(n, kThreads))}, {kThreads}, append,
           a);
}

}  // namespace ra::cuda
