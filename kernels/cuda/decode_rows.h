// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/weights.h"
#include "kernels/types.h"

namespace ra::cuda {

// Row i of out [count, w.cols] = scale * row ids[i] of w, or row first + i without ids. f32 out has
// the bits of QuantInfo::decode where scale is 1; bf16 out is rounded from them.
template <class Out>
struct DecodeRowsArgs {
  WeightRows w;
  const std::int32_t* ids = nullptr;  // on the device
  std::size_t first = 0, count = 0;
  float scale = 1;
  Out* out = nullptr;
  std::size_t out_stride = 0;
};
void decode_rows(cudaStream_t stream, const DecodeRowsArgs<float>& a);
void decode_rows(cudaStream_t stream, const DecodeRowsArgs<bf16>& a);

}  // namespace ra::cuda
