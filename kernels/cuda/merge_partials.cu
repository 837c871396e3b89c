// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attend.h"
#include "kernels/cuda/key_rows.cuh"
#include "kernels/cuda/launch.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 128;

// One block a head; every thread finds the common maximum for itself.
__global__ void merge(MergeArgs a) {
  __shared__ float keep[2 * KeySplits::kMostSplits];
  const std::size_t first = blockIdx.x * a.splits;
  float common = -INFINITY;
  for (std::size_t s = 0; s < a.splits; ++s) {
    const float max = a.parts.max[first + s];
    common = max > common ? max : common;
  }
  for (std::size_t s = threadIdx.x; s < a.splits; s += blockDim.x)
    keep[s] = rescale(a.parts.max[first + s], common);
  __syncthreads();
  float sum = 0;
  for (std::size_t s = 0; s < a.splits; ++s) sum += keep[s] * a.parts.sum[first + s];
  for (std::size_t i = threadIdx.x; i < a.value_dim; i += blockDim.x) {
    float acc = 0;
    for (std::size_t s = 0; s < a.splits; ++s)
      acc += keep[s] * a.parts.acc[(first + s) * a.value_dim + i];
    if (a.finished != nullptr)
      a.finished[blockIdx.x * a.value_dim + i] = acc / sum;
    else
      a.out.acc[blockIdx.x * a.value_dim + i] = acc;
  }
  if (threadIdx.x == 0 && a.finished == nullptr)
    a.out.max[blockIdx.x] = common, a.out.sum[blockIdx.x] = sum;
}

}  // namespace

void merge_partials(cudaStream_t stream, const MergeArgs& a) {
  if (a.heads > 0) launch(stream, {static_cast<unsigned>(a.heads)}, {kThreads}, merge, a);
}

}  // namespace ra::cuda
