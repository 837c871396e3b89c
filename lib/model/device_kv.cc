// SPDX-License-Identifier: Apache-2.0
#include "lib/model/device_kv.h"

#include <algorithm>

#include "kernels/cuda/kv_append.h"
#include "lib/core/error.h"

namespace ra::model {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Bytes of one layer.
std::size_t layer_bytes(const KvCache::Shape& s, int dim) {
  return size(s.kv_heads) * size(s.capacity) * kernels::row_bytes(s.type, size(dim));
}

}  // namespace

DeviceKv::DeviceKv(const KvCache::Shape& shape)
    : shape_(shape),
      filled_(size(shape.layers), 0),
      keys_(size(shape.layers) * layer_bytes(shape, shape.head_dim)),
      values_(size(shape.layers) * layer_bytes(shape, shape.value_dim)) {
  RA_CHECK(shape.type != KvType::kInt8);
}

std::size_t DeviceKv::bytes(const KvCache::Shape& shape) { return KvCache::bytes(shape); }

std::byte* DeviceKv::rows(int layer, bool values) const {
  return values ? values_.data() + size(layer) * layer_bytes(shape_, shape_.value_dim)
                : keys_.data() + size(layer) * layer_bytes(shape_, shape_.head_dim);
}

void DeviceKv::follow(cuda::Copies& copies, const KvCache& cache, int layer) {
  std::int64_t& filled = filled_[size(layer)];
  const std::int64_t have = filled, missing = cache.size(layer) - have;
  for (int h = 0; missing > 0 && h < shape_.kv_heads; ++h) {
    const kernels::KvRows host = cache.rows(layer, h);
    const auto copy = [&](const void* from, int dim, bool values) {
      const std::size_t row = kernels::row_bytes(shape_.type, size(dim));
      copies.to_device(rows(layer, values) + (size(h) * size(shape_.capacity) + size(have)) * row,
                       static_cast<const std::byte*>(from) + size(have) * row, size(missing) * row);
    };
    copy(host.k, shape_.head_dim, false);
    copy(host.v, shape_.value_dim, true);
  }
  filled = cache.size(layer);
}

void DeviceKv::append(cuda::Copies& copies, const KvCache& cache, int layer, MatView<const float> k,
                      MatView<const float> v) {
  RA_CHECK(cache.size(layer) + static_cast<std::int64_t>(k.rows) <= shape_.capacity);
  follow(copies, cache, layer);
  const auto put = [&](MatView<const float> x, int dim, bool values) {
    cuda::kv_append(copies.stream().get(), {.x = x.data,
                                            .x_stride = x.stride,
                                            .tokens = x.rows,
                                            .kv_heads = size(shape_.kv_heads),
                                            .dim = size(dim),
                                            .capacity = size(shape_.capacity),
                                            .pos = size(cache.size(layer)),
                                            .type = shape_.type,
                                            .cache = rows(layer, values)});
  };
  put(k, shape_.head_dim, false);
  put(v, shape_.value_dim, true);
  filled_[size(layer)] += static_cast<std::int64_t>(k.rows);
}

cuda::DeviceKeys DeviceKv::keys(cuda::Copies& copies, const KvCache& cache, int layer) {
  follow(copies, cache, layer);
  return {.k = rows(layer, false),
          .v = rows(layer, true),
          .type = shape_.type,
          .kv_heads = size(shape_.kv_heads),
          .capacity = size(shape_.capacity),
          .head_dim = size(shape_.head_dim),
          .value_dim = size(shape_.value_dim)};
}

}  // namespace ra::model
