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

// Each of `rows` values (a power of two, at most `width`) over lanes that differ in the bits below
// `width`; lane l gets the sum of v[l % rows]. Cheaper than as many warp_sum()s: a lane sends the
// half of its values that its partner goes on with. v is used up.
template <unsigned width, unsigned rows>
__device__ __forceinline__ float scattered_sums(float (&v)[rows]) {
  const unsigned lane = threadIdx.x % kWarpSize;
#pragma unroll
  for (unsigned half = rows / 2; half > 0; half /= 2) {
    const bool upper = (lane & half) != 0;
#pragma unroll
    for (unsigned i = 0; i < half; ++i) {
      const float sent = upper ? v[i] : v[i + half], kept = upper ? v[i + half] : v[i];
      v[i] = kept + __shfl_xor_sync(kAllLanes, sent, static_cast<int>(half));
    }
  }
  float sum = v[0];
#pragma unroll
  for (unsigned step = rows; step < width; step *= 2)
    sum += __shfl_xor_sync(kAllLanes, sum, static_cast<int>(step));
  return sum;
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
