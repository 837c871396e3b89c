// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_tensors.h"

#include <cstring>
#include <utility>

#include "lib/core/error.h"

namespace ra::model {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Rows [first, first + rows) of every KV head.
std::vector<std::span<const std::byte>> pieces(const KvCache& cache, int layer, bool values,
                                               std::int64_t first, std::int64_t rows) {
  std::vector<std::span<const std::byte>> out;
  for (int h = 0; h < cache.shape().kv_heads; ++h) {
    const kernels::KvRows kv = cache.rows(layer, h);
    const std::size_t row = kernels::row_bytes(kv.type, values ? kv.value_dim : kv.head_dim);
    const auto* head = static_cast<const std::byte*>(values ? kv.v : kv.k);
    out.emplace_back(head + size(first) * row, size(rows) * row);
  }
  return out;
}

}  // namespace

std::uint64_t k_bytes(const KvCache::Shape& s, std::int64_t rows) {
  return std::uint64_t{size(s.kv_heads)} * size(rows) *
         kernels::row_bytes(s.type, size(s.head_dim));
}

std::uint64_t v_bytes(const KvCache::Shape& s, std::int64_t rows) {
  return std::uint64_t{size(s.kv_heads)} * size(rows) *
         kernels::row_bytes(s.type, size(s.value_dim));
}

std::uint64_t k_frame_bytes(const KvCache::Shape& s) {
  if (s.type != KvType::kInt8) return 0;
  return std::uint64_t{size(s.kv_heads)} * 2 * size(s.head_dim) * sizeof(float);
}

void add_kv(std::vector<TensorSource>& tensors, const KvCache& cache, std::int64_t first,
            std::int64_t rows) {
  RA_CHECK(first >= 0 && rows >= 0 && first + rows <= cache.size());
  for (int layer = 0; layer < cache.shape().layers; ++layer) {
    tensors.push_back({layer, "k", pieces(cache, layer, false, first, rows)});
    tensors.push_back({layer, "v", pieces(cache, layer, true, first, rows)});
    if (k_frame_bytes(cache.shape()) > 0)
      tensors.push_back({layer, "k_frame", {std::as_bytes(cache.frame(layer))}});
  }
}

void add_queries(std::vector<TensorSource>& tensors, const QuerySample& queries, std::size_t first,
                 std::size_t count) {
  const std::size_t all = queries.pos.size();
  RA_CHECK(first + count <= all);
  for (std::size_t layer = 0; layer < queries.layers.size(); ++layer) {
    const Matrix<bf16>& rows = queries.layers[layer];
    TensorSource q{static_cast<int>(layer), "q_train", {}};
    for (std::size_t head = 0; head < rows.rows(); head += all)
      q.pieces.push_back(std::as_bytes(std::span(rows.row(head + first), count * rows.cols())));
    tensors.push_back(std::move(q));
    tensors.push_back({static_cast<int>(layer),
                       "q_train_pos",
                       {std::as_bytes(std::span(queries.pos).subspan(first, count))}});
  }
}

void check_kv(const TensorFile& file, const KvCache::Shape& s, std::int64_t rows) {
  for (int layer = 0; layer < s.layers; ++layer) {
    (void)file.require(layer, "k", k_bytes(s, rows));
    (void)file.require(layer, "v", v_bytes(s, rows));
    if (k_frame_bytes(s) > 0) (void)file.require(layer, "k_frame", k_frame_bytes(s));
  }
}

void append_kv(const TensorFile& file, std::int64_t rows, std::int64_t n, KvCache& cache) {
  const KvCache::Shape& s = cache.shape();
  for (int layer = 0; layer < s.layers; ++layer) {
    std::vector<float> frame(k_frame_bytes(s) / sizeof(float));
    if (!frame.empty())
      std::memcpy(frame.data(), file.require(layer, "k_frame", k_frame_bytes(s)).data(),
                  k_frame_bytes(s));
    cache.append_stored(layer, n, rows, file.require(layer, "k", k_bytes(s, rows)).data(),
                        file.require(layer, "v", v_bytes(s, rows)).data(), frame);
  }
}

}  // namespace ra::model
