// SPDX-License-Identifier: Apache-2.0
// A kernel launch as a function call. Kernels take their arguments as one plain struct, the same
// that the host function which launches them takes.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/grid.h"

namespace ra::cuda {

template <class Args>
void launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Args), const Args& args) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, args), "kernel launch");
}

}  // namespace ra::cuda
