// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over the lanes of a warp and the warps of a block (one dimension of threads). The
// order of the additions is fixed.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/grid.h"

namespace ra::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

// Over lanes that differ in the bits below `width` (a power of two); every one gets the sum.
template <unsigned width = kWarpSize, class T>
__device__ __forceinline__ T warp_sum(T v) {
  for (unsigned step = width / 2; step > 0; step /= 2)
    v += __shfl_xor_sync(kAllLanes, v, static_cast<int>(step));
  return v;
}

template <unsigned width = kWarpSize>
__device__ __forceinline__ float warp_max(float v) {
  for (unsigned step = width / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, v, static_cast<int>(step));
    v = other > v ? other : v;
  }
  return v;
}

// Over the threads of a block; every one gets the sum. One call at a time per block.
template <class T>
__device__ T block_sum(T v) {
  __shared__ T of_warp[kWarpSize];
  v = warp_sum(v);
  const unsigned lane = threadIdx.x % kWarpSize, warps = blockDim.x / kWarpSize;
  __syncthreads();  // the last call's readers are done
  if (lane == 0) of_warp[threadIdx.x / kWarpSize] = v;
  __syncthreads();
  T sum = 0;
  for (unsigned w = 0; w < warps; ++w) sum += of_warp[w];
  return sum;
}

}  // namespace ra::cuda
