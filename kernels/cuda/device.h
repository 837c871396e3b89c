// SPDX-License-Identifier: Apache-2.0
// What there is to run on.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>

#include "kernels/cuda/check.h"

namespace ra::cuda {

// Why there is no device of that number; "" if there is.
inline std::string why_absent(int number) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess)
    return cudaGetErrorString(error);
  return number < count ? "" : "there are " + std::to_string(count);
}

// Makes it the one that the calling thread uses from here on.
inline void select(int number) { check(cudaSetDevice(number), "cudaSetDevice"); }

inline std::string name_of(int number) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, number), "cudaGetDeviceProperties");
  return properties.name;
}

inline std::size_t multiprocessors(int number) {
  int n = 0;
  check(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, number),
        "cudaDeviceGetAttribute");
  return static_cast<std::size_t>(n);
}

struct MemoryBytes {
  std::size_t free = 0, total = 0;
};
// Of the selected device.
inline MemoryBytes memory() {
  MemoryBytes m;
  check(cudaMemGetInfo(&m.free, &m.total), "cudaMemGetInfo");
  return m;
}

}  // namespace ra::cuda
