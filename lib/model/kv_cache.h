// SPDX-License-Identifier: Apache-2.0
// Keys and values of all layers, laid out [layer, kv_head, pos, row]: one head's tokens lie
// together, so a decode step streams them. Said once, here. The keys of an int8 cache are kept
// relative to the centre of their head (kv_int8.h), which softmax does not see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/attend.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::model {

using kernels::KvType;  // kF32, kBf16, kInt8

std::string_view name_of(KvType type);                       // "f32", "bf16", "int8"
std::optional<KvType> parse_kv_type(std::string_view name);  // nothing if it is none of them

// Row i of one head's keys and values in f32.
void widen_key(const kernels::KvRows& rows, std::size_t i, std::span<float> out);
void widen_value(const kernels::KvRows& rows, std::size_t i, std::span<float> out);
// out[i] = query . key of row i, for as many rows as `out` has; of any type.
void score_keys(const kernels::KvRows& rows, const float* query, std::span<float> out);
// Rows [begin, end).
Matrix<float> widen_keys(const kernels::KvRows& rows, std::int64_t begin, std::int64_t end);
Matrix<float> widen_values(const kernels::KvRows& rows, std::int64_t begin, std::int64_t end);

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
  // stride, value_dim], of which the first `tokens` of each head count. Rows of int8 keys have the
  // frame of the layer they come from; an empty layer takes it over.
  void append_stored(int layer, std::int64_t tokens, std::int64_t stride, const std::byte* k,
                     const std::byte* v, std::span<const float> frame = {});
  // The first `tokens` positions of a cache of the same shape but for its capacity, to this empty
  // one.
  void copy_from(const KvCache& other, std::int64_t tokens);
  // Centre and gain of the int8 keys of a layer, [kv_heads, 2, head_dim]; empty for other types.
  // Fitted to the first rows that are appended.
  std::span<const float> frame(int layer) const;
  void truncate(std::int64_t size);  // forget positions >= size in every layer

 private:
  std::span<float> frame_of(int layer);

  Shape shape_;
  std::vector<std::int64_t> size_;
  AlignedBuffer<std::byte> memory_;
  AlignedBuffer<float> frames_;  // [layer, kv_head, 2, head_dim]
};

}  // namespace ra::model
