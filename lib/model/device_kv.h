// SPDX-License-Identifier: Apache-2.0
// The keys and values of a KvCache once more, on the device, in its layout and type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/copies.h"
#include "kernels/cuda/device_buffer.h"
#include "lib/model/kv_cache.h"

namespace ra::model {

class DeviceKv {
 public:
  // f32 or bf16.
  explicit DeviceKv(const KvCache::Shape& shape);

  static std::size_t bytes(const KvCache::Shape& shape);

  // Rows k, v on the device to the positions after `cache.size(layer)`, where the host's rows will
  // go; those before are brought first if they are not here.
  void append(cuda::Copies& copies, const KvCache& cache, int layer, MatView<const float> k,
              MatView<const float> v);
  // All that `cache` holds of the layer, what is not here yet copied from the host. Rows that were
  // here must be what the cache holds: one that is truncated and filled again by other means than
  // append() needs a new DeviceKv.
  cuda::DeviceKeys keys(cuda::Copies& copies, const KvCache& cache, int layer);

 private:
  void follow(cuda::Copies& copies, const KvCache& cache, int layer);
  std::byte* rows(int layer, bool values) const;

  KvCache::Shape shape_;
  std::vector<std::int64_t> filled_;             // [layer]
  cuda::DeviceBuffer<std::byte> keys_, values_;  // [layer, kv_head, capacity, row]
};

}  // namespace ra::model
