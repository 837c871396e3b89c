// SPDX-License-Identifier: Apache-2.0
// Rows of keys and values as a device reads them: 16 bytes at a time where all rows are aligned.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"

namespace ra::cuda {

constexpr unsigned kChunk = 8;  // elements of a row that one thread takes

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(bf16 v) {
  return __uint_as_float(static_cast<std::uint32_t>(v.bits) << 16);
}

// Eight elements from `first` on of a row of `dim`, zeros past its end. Rows whose length is a
// multiple of eight are aligned.
__device__ __forceinline__ void load_chunk(const float* row, unsigned first, unsigned dim,
                                           float (&out)[kChunk]) {
  if (dim % kChunk == 0 && first < dim) {
    const auto* p = reinterpret_cast<const float4*>(row + first);
    const float4 a = p[0], b = p[1];
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
    return;
  }
  for (unsigned i = 0; i < kChunk; ++i) out[i] = first + i < dim ? row[first + i] : 0.0f;
}
__device__ __forceinline__ void load_chunk(const bf16* row, unsigned first, unsigned dim,
                                           float (&out)[kChunk]) {
  if (dim % kChunk == 0 && first < dim) {
    const uint4 v = *reinterpret_cast<const uint4*>(row + first);
    const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
    for (unsigned i = 0; i < 4; ++i) {
      out[2 * i] = __uint_as_float(words[i] << 16);
      out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
    return;
  }
  for (unsigned i = 0; i < kChunk; ++i) out[i] = first + i < dim ? widen(row[first + i]) : 0.0f;
}

// exp(max - common) for common >= max; 1 where both are equal, infinities too, so that an empty
// part stays empty and a NaN stays visible.
__device__ __forceinline__ float rescale(float max, float common) {
  return max == common ? 1.0f : __expf(max - common);
}

}  // namespace ra::cuda
