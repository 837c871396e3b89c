// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rope.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 128;

__global__ void fill_angles(AngleArgs a) {
  const std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= a.tokens * a.pairs) return;
  const double angle =
      static_cast<double>(a.pos + static_cast<std::int64_t>(i / a.pairs)) * a.inv_freq[i % a.pairs];
  a.cos[i] = static_cast<float>(cos(angle) * static_cast<double>(a.magnitude));
  a.sin[i] = static_cast<float>(sin(angle) * static_cast<double>(a.magnitude));
}

// One thread a pair. Products and sums are not fused, as on the CPU.
__global__ void rotate(RopeArgs a) {
  const std::size_t pairs = a.rotary_dims / 2, of_token = a.heads * pairs;
  const std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= a.tokens * of_token) return;
  const std::size_t token = i / of_token, head = i % of_token / pairs, pair = i % pairs;
  float* x = a.x + token * a.stride + head * a.head_dim + (a.interleaved ? 2 * pair : pair);
  float* y = x + (a.interleaved ? 1 : pairs);
  const float c = a.cos[token * pairs + pair], s = a.sin[token * pairs + pair], u = *x, v = *y;
  *x = __fsub_rn(__fmul_rn(u, c), __fmul_rn(v, s));
  *y = __fadd_rn(__fmul_rn(v, c), __fmul_rn(u, s));
}

unsigned blocks(std::size_t n) {
  return static_cast<unsigned>(divide_up<std::size_t>(n, kThreads));
}

}  // namespace

void rope_angles(cudaStream_t stream, const AngleArgs& a) {
  if (a.tokens * a.pairs > 0)
    launch(stream, {blocks(a.tokens * a.pairs)}, {kThreads}, fill_angles, a);
}

void rope(cudaStream_t stream, const RopeArgs& a) {
  const std::size_t n = a.tokens * a.heads * (a.rotary_dims / 2);
  if (n > 0) launch(stream, {blocks(n)}, {kThreads}, rotate, a);
}

}  // namespace ra::cuda
