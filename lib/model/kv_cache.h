// SPDX-License-Identifier: Apache-2.0
// Keys and values of all layers, laid out [layer, kv_head, pos, head_dim]: one head's tokens lie
// together, so a decode step streams them. Said once, here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attend.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::model {

using kernels::KvType;  // kF32, kBf16

std::size_t element_bytes(KvType type);

class KvCache {
 public:
  struct Shape {
    int layers = 0, kv_heads = 0, head_dim = 0, value_dim = 0;
    std::int64_t capacity = 0;  // positions
    KvType type = KvType::kBf16;
  };
  explicit KvCache(const Shape& shape);

  static std::size_t bytes(const Shape& shape);
  const Shape& shape() const { return shape_; }
  std::int64_t size(int layer) const { return size_[layer]; }  // positions filled
  std::int64_t size() const;                                   // of every layer: the least
  // Rows of one KV head: k [capacity, head_dim], v [capacity, value_dim]; the first size() count.
  kernels::KvRows rows(int layer, int kv_head) const;
  // k [tokens, kv_heads * head_dim], v [tokens, kv_heads * value_dim] go to positions
  // size(layer)...
  void append(int layer, MatView<const float> k, MatView<const float> v);
  // The same from rows of the cache's own type: k [kv_heads, stride, head_dim], v [kv_heads,
  // stride, value_dim], of which the first `tokens` of each head count.
  void append_stored(int layer, std::int64_t tokens, std::int64_t stride, const std::byte* k,
                     const std::byte* v);
  void truncate(std::int64_t size);  // forget positions >= size in every layer

 private:
  Shape shape_;
  std::vector<std::int64_t> size_;
  AlignedBuffer<std::byte> memory_;
};

}  // namespace ra::model
