// SPDX-License-Identifier: Apache-2.0
// The arrays of one quantised activation row (kernels/gemv.h) on the device.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemv.h"

namespace ra::cuda {

struct QuantizedRow {
  std::int8_t *high, *low;
  float *scale, *sum, *half_sum;
};

__device__ __forceinline__ QuantizedRow quantized_row(std::byte* rows, std::size_t token,
                                                      std::size_t cols) {
  const std::size_t blocks = kernels::act_blocks(cols);
  std::byte* row = rows + token * kernels::quantized_row_bytes(cols);
  auto* high = reinterpret_cast<std::int8_t*>(row);
  auto* scale = reinterpret_cast<float*>(row + 2 * blocks * kernels::kActBlock);
  return {high, high + blocks * kernels::kActBlock, scale, scale + blocks, scale + 2 * blocks};
}

}  // namespace ra::cuda
