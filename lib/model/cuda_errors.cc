// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_errors.h"

#include <fmt/format.h>

#include <string>

#include "kernels/cuda/device.h"
#include "lib/core/error.h"

namespace ra::model {

void fail_device(const cuda::DeviceError& e) {
  if (!e.out_of_memory())
    fail(Exit::kUnavailable, {.what = "device failed",
                              .file = "",
                              .where = "--device",
                              .why = e.what(),
                              .hint = "try --device cpu"});
  std::string why = e.what();
  try {
    const cuda::MemoryBytes memory = cuda::memory();
    why += fmt::format("; {} of {} bytes are free", memory.free, memory.total);
  } catch (const cuda::DeviceError&) {  // a device that others have filled may not even say so
  }
  fail(Exit::kNoMemory, {.what = "not enough device memory",
                         .file = "",
                         .where = "--device",
                         .why = why,
                         .hint = "fewer tokens, or --device cpu"});
}

}  // namespace ra::model
