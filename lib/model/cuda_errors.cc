// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_errors.h"

#include <fmt/format.h>

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
  fail(Exit::kNoMemory, {.what = "not enough device memory",
                         .file = "",
                         .where = "--device",
                         .why = fmt::format("{}; {} of {} bytes are free", e.what(),
                                            cuda::memory().free, cuda::memory().total),
                         .hint = "fewer tokens, or --device cpu"});
}

}  // namespace ra::model
