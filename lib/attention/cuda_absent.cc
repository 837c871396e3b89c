// SPDX-License-Identifier: Apache-2.0
// Stands in for cuda_device.cc in a build without CUDA.
#include "lib/attention/compute_device.h"
#include "lib/core/error.h"

namespace ra::attention {

std::unique_ptr<ComputeDevice> open_cuda_device(int, const DeviceChoice& choice) {
  fail(Exit::kUnavailable, {.what = "no such device",
                            .file = "",
                            .where = "--device",
                            .why = choice.name + ": this build has no CUDA",
                            .hint = "build with the preset cuda, or use --device cpu"});
}

}  // namespace ra::attention
