// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_cache.h"

#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/huge_pages.h"
#include "lib/core/parallel.h"

namespace ra::model {
namespace {

std::size_t to_size(auto n) { return static_cast<std::size_t>(n); }

// Row t of `src` (columns first.., `dim` of them) to row t of `dst`, as `type`.
void store_rows(MatView<const float> src, std::size_t first, std::size_t dim, KvType type,
                std::byte* dst) {
  for (std::size_t t = 0; t < src.rows; ++t) {
    const float* row = src.row(t) + first;
    if (type == KvType::kF32)
      std::copy_n(row, dim, reinterpret_cast<float*>(dst) + t * dim);
    else
      std::transform(row, row + dim, reinterpret_cast<bf16*>(dst) + t * dim,
                     [](float v) { return to_bf16(v); });
  }
}

}  // namespace

std::size_t element_bytes(KvType type) { return type == KvType::kF32 ? 4 : 2; }

// Memory: all K, then all V, each [layer, kv_head, capacity, dim].
KvCache::KvCache(const Shape& shape)
    : shape_(shape), size_(to_size(shape.layers), 0), memory_(bytes(shape)) {
  prefer_huge_pages(memory_.data(), memory_.size());
}

std::size_t KvCache::bytes(const Shape& s) {
  return to_size(s.layers) * to_size(s.kv_heads) * to_size(s.capacity) *
         to_size(s.head_dim + s.value_dim) * element_bytes(s.type);
}

kernels::KvRows KvCache::rows(int layer, int kv_head) const {
  RA_CHECK(layer >= 0 && layer < shape_.layers && kv_head >= 0 && kv_head < shape_.kv_heads);
  const std::size_t slot = to_size(layer) * to_size(shape_.kv_heads) + to_size(kv_head);
  const std::size_t head = to_size(shape_.capacity) * element_bytes(shape_.type);
  const std::size_t keys =
      to_size(shape_.layers) * to_size(shape_.kv_heads) * head * to_size(shape_.head_dim);
  return {.k = memory_.data() + slot * head * to_size(shape_.head_dim),
          .v = memory_.data() + keys + slot * head * to_size(shape_.value_dim),
          .type = shape_.type,
          .head_dim = to_size(shape_.head_dim),
          .value_dim = to_size(shape_.value_dim)};
}

void KvCache::append(int layer, MatView<const float> k, MatView<const float> v) {
  RA_CHECK(layer >= 0 && layer < shape_.layers);
  RA_CHECK(k.rows == v.rows && k.cols == to_size(shape_.kv_heads * shape_.head_dim) &&
           v.cols == to_size(shape_.kv_heads * shape_.value_dim));
  std::int64_t& filled = size_[to_size(layer)];
  RA_CHECK(filled + static_cast<std::int64_t>(k.rows) <= shape_.capacity);
  const auto store_head = [&](std::size_t h, int) {
    const kernels::KvRows to = rows(layer, static_cast<int>(h));
    const std::size_t offset = to_size(filled) * element_bytes(shape_.type);
    const auto at = [&](const void* p, std::size_t dim) {  // the cache owns the memory it hands out
      return static_cast<std::byte*>(const_cast<void*>(p)) + offset * dim;
    };
    store_rows(k, h * to.head_dim, to.head_dim, to.type, at(to.k, to.head_dim));
    store_rows(v, h * to.value_dim, to.value_dim, to.type, at(to.v, to.value_dim));
  };
  if (k.rows > 1) {
    parallel_for(to_size(shape_.kv_heads), store_head);
  } else {
    for (std::size_t h = 0; h < to_size(shape_.kv_heads); ++h) store_head(h, 0);
  }
  filled += static_cast<std::int64_t>(k.rows);
}

void KvCache::append_stored(int layer, std::int64_t tokens, std::int64_t stride, const std::byte* k,
                            const std::byte* v) {
  RA_CHECK(layer >= 0 && layer < shape_.layers && tokens >= 0 && tokens <= stride);
  std::int64_t& filled = size_[to_size(layer)];
  RA_CHECK(tokens <= shape_.capacity - filled);
  for (int h = 0; h < shape_.kv_heads; ++h) {
    const kernels::KvRows to = rows(layer, h);
    const auto copy = [&](const std::byte* from, const void* head, std::size_t dim) {
      const std::size_t row = dim * element_bytes(shape_.type);
      std::copy_n(from + to_size(h) * to_size(stride) * row, to_size(tokens) * row,
                  static_cast<std::byte*>(const_cast<void*>(head)) + to_size(filled) * row);
    };
    copy(k, to.k, to.head_dim);
    copy(v, to.v, to.value_dim);
  }
  filled += tokens;
}

std::int64_t KvCache::size() const { return *std::min_element(size_.begin(), size_.end()); }

void KvCache::truncate(std::int64_t n) {
  RA_CHECK(n >= 0);
  for (std::int64_t& filled : size_) filled = std::min(filled, n);
}

}  // namespace ra::model
