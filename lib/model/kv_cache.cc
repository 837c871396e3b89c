// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_cache.h"

#include <algorithm>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/huge_pages.h"
#include "lib/core/parallel.h"
#include "lib/model/kv_int8.h"

namespace ra::model {
namespace {

using kernels::row_bytes;

std::size_t to_size(auto n) { return static_cast<std::size_t>(n); }

// Row t of `src` (columns first.., `dim` of them) to row t of `dst`, as `type`.
void store_rows(MatView<const float> src, std::size_t first, std::size_t dim, KvType type,
                std::span<const float> centre, std::span<const float> gain, std::byte* dst) {
  for (std::size_t t = 0; t < src.rows; ++t, dst += row_bytes(type, dim)) {
    const float* row = src.row(t) + first;
    if (type == KvType::kF32)
      std::copy_n(row, dim, reinterpret_cast<float*>(dst));
    else if (type == KvType::kBf16)
      std::transform(row, row + dim, reinterpret_cast<bf16*>(dst),
                     [](float v) { return to_bf16(v); });
    else
      quantize_row({row, dim}, centre, gain, dst);
  }
}

void widen_row(KvType type, const void* rows, std::size_t i, const float* gain,
               std::span<float> out) {
  const auto* row = static_cast<const std::byte*>(rows) + i * row_bytes(type, out.size());
  if (type == KvType::kF32)
    std::copy_n(reinterpret_cast<const float*>(row), out.size(), out.data());
  else if (type == KvType::kBf16)
    std::transform(reinterpret_cast<const bf16*>(row),
                   reinterpret_cast<const bf16*>(row) + out.size(), out.data(),
                   [](bf16 v) { return to_float(v); });
  else
    widen_int8_row(row, gain, out);
}

std::size_t frame_floats(const KvCache::Shape& s) {  // of one layer
  return s.type == KvType::kInt8 ? to_size(s.kv_heads) * 2 * to_size(s.head_dim) : 0;
}

}  // namespace

std::string_view name_of(KvType type) {
  return type == KvType::kF32 ? "f32" : type == KvType::kBf16 ? "bf16" : "int8";
}

std::optional<KvType> parse_kv_type(std::string_view name) {
  for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kInt8})
    if (name == name_of(type)) return type;
  return std::nullopt;
}

void widen_key(const kernels::KvRows& rows, std::size_t i, std::span<float> out) {
  RA_CHECK(out.size() == rows.head_dim);
  widen_row(rows.type, rows.k, i, rows.k_gain, out);
}

void widen_value(const kernels::KvRows& rows, std::size_t i, std::span<float> out) {
  RA_CHECK(out.size() == rows.value_dim);
  widen_row(rows.type, rows.v, i, nullptr, out);
}

void score_keys(const kernels::KvRows& rows, const float* query, std::span<float> out) {
  if (rows.type == kernels::KvType::kInt8) {
    std::vector<float> key(rows.head_dim);
    for (std::size_t i = 0; i < out.size(); ++i) {
      widen_key(rows, i, key);
      out[i] = kernels::ops().dot(query, key.data(), key.size());
    }
    return;
  }
  kernels::ops().score({.q = query,
                        .q_stride = rows.head_dim,
                        .group = 1,
                        .dim = rows.head_dim,
                        .keys = rows.k,
                        .type = rows.type,
                        .key_stride = rows.head_dim,
                        .n = out.size(),
                        .out = out.data(),
                        .out_stride = out.size()});
}

Matrix<float> widen_keys(const kernels::KvRows& rows, std::int64_t begin, std::int64_t end) {
  Matrix<float> out(to_size(end - begin), rows.head_dim);
  for (std::size_t i = 0; i < out.rows(); ++i) widen_key(rows, to_size(begin) + i, out.row_span(i));
  return out;
}

Matrix<float> widen_values(const kernels::KvRows& rows, std::int64_t begin, std::int64_t end) {
  Matrix<float> out(to_size(end - begin), rows.value_dim);
  for (std::size_t i = 0; i < out.rows(); ++i)
    widen_value(rows, to_size(begin) + i, out.row_span(i));
  return out;
}

// Memory: all K, then all V, each [layer, kv_head, capacity, row].
KvCache::KvCache(const Shape& shape)
    : shape_(shape),
      size_(to_size(shape.layers), 0),
      memory_(bytes(shape)),
      frames_(to_size(shape.layers) * frame_floats(shape)) {
  RA_CHECK(to_size(shape.head_dim) <= kernels::kMaxHeadDim);
  prefer_huge_pages(memory_.data(), memory_.size());
}

std::size_t KvCache::bytes(const Shape& s) {
  return to_size(s.layers) * to_size(s.kv_heads) * to_size(s.capacity) *
         (row_bytes(s.type, to_size(s.head_dim)) + row_bytes(s.type, to_size(s.value_dim)));
}

kernels::KvRows KvCache::rows(int layer, int kv_head) const {
  RA_CHECK(layer >= 0 && layer < shape_.layers && kv_head >= 0 && kv_head < shape_.kv_heads);
  const std::size_t slot = to_size(layer) * to_size(shape_.kv_heads) + to_size(kv_head);
  const std::size_t capacity = to_size(shape_.capacity), head_dim = to_size(shape_.head_dim);
  const std::size_t k_head = capacity * row_bytes(shape_.type, head_dim);
  const std::size_t v_head = capacity * row_bytes(shape_.type, to_size(shape_.value_dim));
  const std::size_t keys = to_size(shape_.layers) * to_size(shape_.kv_heads) * k_head;
  return {.k = memory_.data() + slot * k_head,
          .v = memory_.data() + keys + slot * v_head,
          .type = shape_.type,
          .head_dim = head_dim,
          .value_dim = to_size(shape_.value_dim),
          .k_gain =
              shape_.type == KvType::kInt8 ? frames_.data() + (2 * slot + 1) * head_dim : nullptr};
}

std::span<const float> KvCache::frame(int layer) const {
  const std::size_t n = frame_floats(shape_);
  return frames_.span().subspan(to_size(layer) * n, n);
}

std::span<float> KvCache::frame_of(int layer) {
  const std::size_t n = frame_floats(shape_);
  return frames_.span().subspan(to_size(layer) * n, n);
}

void KvCache::append(int layer, MatView<const float> k, MatView<const float> v) {
  RA_CHECK(layer >= 0 && layer < shape_.layers);
  RA_CHECK(k.rows == v.rows && k.cols == to_size(shape_.kv_heads * shape_.head_dim) &&
           v.cols == to_size(shape_.kv_heads * shape_.value_dim));
  std::int64_t& filled = size_[to_size(layer)];
  RA_CHECK(filled + static_cast<std::int64_t>(k.rows) <= shape_.capacity);
  const auto store_head = [&](std::size_t h, int) {
    const kernels::KvRows to = rows(layer, static_cast<int>(h));
    const auto at = [&](const void* p, std::size_t dim) {  // the cache owns the memory it hands out
      return static_cast<std::byte*>(const_cast<void*>(p)) +
             to_size(filled) * row_bytes(to.type, dim);
    };
    std::span<float> centre, gain;
    if (to.type == KvType::kInt8) {
      centre = frame_of(layer).subspan(2 * h * to.head_dim, to.head_dim);
      gain = frame_of(layer).subspan((2 * h + 1) * to.head_dim, to.head_dim);
      if (filled == 0) fit_key_frame(k, h * to.head_dim, centre, gain);
    }
    store_rows(k, h * to.head_dim, to.head_dim, to.type, centre, gain, at(to.k, to.head_dim));
    store_rows(v, h * to.value_dim, to.value_dim, to.type, {}, {}, at(to.v, to.value_dim));
  };
  if (k.rows > 1) {
    parallel_for(to_size(shape_.kv_heads), store_head);
  } else {
    for (std::size_t h = 0; h < to_size(shape_.kv_heads); ++h) store_head(h, 0);
  }
  filled += static_cast<std::int64_t>(k.rows);
}

void KvCache::append_stored(int layer, std::int64_t tokens, std::int64_t stride, const std::byte* k,
                            const std::byte* v, std::span<const float> frame) {
  RA_CHECK(layer >= 0 && layer < shape_.layers && tokens >= 0 && tokens <= stride);
  RA_CHECK(frame.size() == frame_floats(shape_));
  std::int64_t& filled = size_[to_size(layer)];
  RA_CHECK(tokens <= shape_.capacity - filled);
  if (filled == 0) std::ranges::copy(frame, frame_of(layer).begin());
  for (int h = 0; h < shape_.kv_heads; ++h) {
    const kernels::KvRows to = rows(layer, h);
    const auto copy = [&](const std::byte* from, const void* head, std::size_t dim) {
      const std::size_t row = row_bytes(shape_.type, dim);
      std::copy_n(from + to_size(h) * to_size(stride) * row, to_size(tokens) * row,
                  static_cast<std::byte*>(const_cast<void*>(head)) + to_size(filled) * row);
    };
    copy(k, to.k, to.head_dim);
    copy(v, to.v, to.value_dim);
  }
  filled += tokens;
}

void KvCache::copy_from(const KvCache& other, std::int64_t tokens) {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    RA_CHECK(size(layer) == 0 && tokens <= other.size(layer) && shape_.type == other.shape_.type);
    const kernels::KvRows first = other.rows(layer, 0);
    append_stored(layer, tokens, other.shape_.capacity, static_cast<const std::byte*>(first.k),
                  static_cast<const std::byte*>(first.v), other.frame(layer));
  }
}

std::int64_t KvCache::size() const { return *std::min_element(size_.begin(), size_.end()); }

void KvCache::truncate(std::int64_t n) {
  RA_CHECK(n >= 0);
  for (std::int64_t& filled : size_) filled = std::min(filled, n);
}

}  // namespace ra::model
