// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda/machine.h"

namespace ra::testing {

std::vector<std::string> machines() { return {"device"}; }

std::string use_machine(const std::string&) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return count == 0 ? "there is none" : "";
}

}  // namespace ra::testing
