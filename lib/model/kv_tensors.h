// SPDX-License-Identifier: Apache-2.0
// Rows of a KV cache and of a query sample as tensors of a TensorFile: what a snapshot and the
// pieces of an interrupted run have in common. Per layer:
//   k [kv_heads, rows, head_dim], v [kv_heads, rows, value_dim] in the type of the cache; if that
//   is int8, a row's scale (f32) follows its elements, and k_frame f32 [kv_heads, 2, head_dim] says
//   centre and gain of the keys (kv_int8.h);
//   q_train [heads, m, head_dim] bf16, q_train_pos i64 [m]
#pragma once

#include <cstdint>
#include <vector>

#include "lib/model/kv_cache.h"
#include "lib/model/query_sample.h"
#include "lib/model/tensor_file.h"

namespace ra::model {

// Bytes of one layer's tensors.
std::uint64_t k_bytes(const KvCache::Shape& shape, std::int64_t rows);
std::uint64_t v_bytes(const KvCache::Shape& shape, std::int64_t rows);
std::uint64_t k_frame_bytes(const KvCache::Shape& shape);  // 0 = there is none

// k and v of positions [first, first + rows), all layers in order. Points into the cache.
void add_kv(std::vector<TensorSource>& tensors, const KvCache& cache, std::int64_t first,
            std::int64_t rows);
// q_train and q_train_pos of queries.pos[first..first + count). Points into the sample.
void add_queries(std::vector<TensorSource>& tensors, const QuerySample& queries, std::size_t first,
                 std::size_t count);

// Throws Error{kBadData} unless the file holds k and v of `rows` positions of every layer.
void check_kv(const TensorFile& file, const KvCache::Shape& shape, std::int64_t rows);
// Appends the first n of these positions.
void append_kv(const TensorFile& file, std::int64_t rows, std::int64_t n, KvCache& cache);

}  // namespace ra::model
