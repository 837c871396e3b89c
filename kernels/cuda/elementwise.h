// SPDX-License-Identifier: Apache-2.0
// What is done to each element of an activation matrix by itself.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/types.h"

namespace ra::cuda {

// gate[i] = a(gate[i]) * up[i], i < n (kernels/activation.h).
struct GateArgs {
  const float* up = nullptr;
  float* gate = nullptr;
  std::size_t n = 0;
  kernels::Activation activation = kernels::Activation::kSilu;
};
void gate(cudaStream_t stream, const GateArgs& a);

// x [rows, cols] += y, or = y where `add` is false; y with stride 0 is one row for all (a bias).
struct AddArgs {
  const float* y = nullptr;
  std::size_t y_stride = 0;
  float* x = nullptr;
  std::size_t x_stride = 0;
  std::size_t rows = 0, cols = 0;
  bool add = true;
};
void add(cudaStream_t stream, const AddArgs& a);

// *row = the first row of x [rows, cols] with a NaN or an infinity, if that is below *row.
struct BadRowArgs {
  const float* x = nullptr;
  std::size_t stride = 0, rows = 0, cols = 0;
  std::uint32_t* row = nullptr;
};
void first_bad_row(cudaStream_t stream, const BadRowArgs& a);

// out [rows, cols], contiguous, as bf16.
struct NarrowArgs {
  const float* x = nullptr;
  std::size_t stride = 0, rows = 0, cols = 0;
  bf16* out = nullptr;
};
void narrow(cudaStream_t stream, const NarrowArgs& a);

}  // namespace ra::cuda
