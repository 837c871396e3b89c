// SPDX-License-Identifier: Apache-2.0
// What a forward pass runs on: the CPU, or a CUDA device with the CPU beside it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "lib/attention/sparse.h"
#include "lib/model/backend.h"
#include "lib/model/config.h"
#include "lib/model/kv_cache.h"
#include "lib/model/weights.h"

namespace ra::attention {

struct DeviceChoice {
  std::string name = "cpu";  // cpu, cuda or cuda:N
  std::string memory;        // of a CUDA device, "20GiB"; empty: 95 % of what is free
  model::Compute compute = model::Compute::kAuto;
};

// Its policies are for decoders on its backend, and it outlives both.
class ComputeDevice {
 public:
  virtual ~ComputeDevice() = default;
  virtual std::string name() const = 0;  // "cpu", or as the device calls itself
  virtual model::Backend& backend() = 0;
  virtual std::unique_ptr<model::AttentionPolicy> exact_attention() = 0;
  // `sparse` with this device attending to the static set or, where the search is exact, to all
  // that is found too; on the CPU as it is.
  virtual std::unique_ptr<model::AttentionPolicy> policy(
      std::unique_ptr<SparseAttention> sparse) = 0;
  // Throws Error: kNoMemory if what a run of `caches` KV caches needs on the device is above the
  // limit, kUsage if it has no kernels for the shape or type of the cache.
  virtual void check_fits(const model::Config& config, const model::Weights& weights,
                          const model::KvCache::Shape& cache, std::size_t caches) const = 0;
};

// Throws Error: kUsage for a name that is none of these or a number of bytes that is none,
// kUnavailable where there is no such device or the build has no CUDA.
std::unique_ptr<ComputeDevice> open_device(const DeviceChoice& choice);

// The CUDA device of that number; in a build without CUDA there is none.
std::unique_ptr<ComputeDevice> open_cuda_device(int number, const DeviceChoice& choice);

}  // namespace ra::attention
