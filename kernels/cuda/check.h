// SPDX-License-Identifier: Apache-2.0
// A call of the CUDA runtime or of cuBLAS that fails throws; whoever owns the device says it in the
// program's own words.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace ra::cuda {

class DeviceError : public std::runtime_error {
 public:
  DeviceError(const std::string& why, bool out_of_memory)
      : std::runtime_error(why), out_of_memory_(out_of_memory) {}
  bool out_of_memory() const { return out_of_memory_; }

 private:
  bool out_of_memory_;
};

inline void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // the next call starts clean
  throw DeviceError(std::string(call) + ": " + cudaGetErrorString(error),
                    error == cudaErrorMemoryAllocation);
}

}  // namespace ra::cuda
