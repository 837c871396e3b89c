// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.h"
#include "kernels/cuda/norm.h"
#include "kernels/cuda/reduce.cuh"

namespace ra::cuda {
namespace {

__global__ void norm_row(NormArgs a) {
  const float* x = a.x + blockIdx.x * a.x_stride;
  float* y = a.y + blockIdx.x * a.y_stride;
  double squares = 0;
  for (std::size_t i = threadIdx.x; i < a.n; i += blockDim.x)
    squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const double mean = block_sum(squares) / static_cast<double>(a.n);
  const auto r = static_cast<float>(1.0 / sqrt(mean + static_cast<double>(a.eps)));
  for (std::size_t i = threadIdx.x; i < a.n; i += blockDim.x) y[i] = x[i] * r * a.gain[i];
}

}  // namespace

void rms_norm(cudaStream_t stream, const NormArgs& a) {
  if (a.rows == 0 || a.n == 0) return;
  launch(stream, {static_cast<unsigned>(a.rows)}, {row_threads(a.n)}, norm_row, a);
}

}  // namespace ra::cuda
