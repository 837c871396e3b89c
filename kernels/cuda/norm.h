// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace ra::cuda {

// kernels/norm.h for every row of x and y [rows, n]; y may be x.
struct NormArgs {
  const float* x = nullptr;
  std::size_t x_stride = 0;
  const float* gain = nullptr;  // [n]
  float* y = nullptr;
  std::size_t y_stride = 0;
  std::size_t rows = 0, n = 0;
  float eps = 0;
};
void rms_norm(cudaStream_t stream, const NormArgs& a);

}  // namespace ra::cuda
