// SPDX-License-Identifier: Apache-2.0
// A prefill kept on disk: K and V of a whole prompt and the queries sampled from it, so that many
// runs decode after one prefill. A TensorFile of magic RAKVSNAP:
//
//   model_sha256, token_ids_sha256 (over the i32 values), architecture, n_tokens, n_layers,
//   n_kv_heads, head_dim, value_dim, rope_style, rope_base, rope_scaling, dtype "bf16" | "f32" |
//   "int8", next_token (the greedy id after the last token)
//
//   k [kv_heads, n_tokens, head_dim], v [.., value_dim] of all layers in order, in dtype, after
//   RoPE, and k_frame if that is int8 (kv_tensors.h); then, if there are any, q_train [heads, m,
//   head_dim] in bf16 and q_train_pos i64 [m] per layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/model/config.h"
#include "lib/model/kv_cache.h"
#include "lib/model/query_sample.h"
#include "lib/model/tensor_file.h"

namespace ra::model {

// What was run: the model (sha256 of its files) and the tokens.
struct KvSource {
  std::string model_sha256;
  const Config& config;
  std::span<const std::int32_t> ids;
};

// Keeps the positions of source.ids, all of which `cache` holds. `queries` may be null. Memory is
// bounded. Throws Error 73, 74, 77.
void write_kv_snapshot(const std::filesystem::path& file, bool force, const KvSource& source,
                       const KvCache& cache, std::int32_t next_token, const QuerySample* queries);

// Upper bound of a snapshot's size with `query_positions` sampled positions.
std::uint64_t kv_snapshot_bytes(const KvCache::Shape& shape, std::int64_t n_tokens, int n_heads,
                                std::int64_t query_positions);

class KvSnapshot {
 public:
  // Maps and checks the file (see TensorFile), its fields and the shapes of its tensors. Throws
  // Error: 66, 77, 65.
  explicit KvSnapshot(const std::filesystem::path& file, bool trust_data = false);

  std::int64_t n_tokens() const { return n_tokens_; }
  std::int32_t next_token() const { return next_token_; }

  // Throws Error{kBadData} naming the field unless the snapshot is of this model with this RoPE,
  // source.ids begin with all its tokens, and a cache of `type` takes its rows.
  void check_source(const KvSource& source, KvType type) const;

  // Appends the first n positions to an empty cache of the same model and type. Attention is
  // causal, so they are what a prefill of n tokens gives: with the same bits, except for rows of a
  // last chunk so short that the backend computes it as decode steps (8 rows), and for int8 keys if
  // n is less than a chunk of that prefill: their frame is the whole chunk's.
  void restore(KvCache& cache, std::int64_t n) const;
  // The sampled queries of positions before n, evenly thinned to at most `most` positions; nothing
  // if the snapshot has none.
  std::optional<QuerySample> queries(std::int64_t n, std::int64_t most) const;

 private:
  void check_queries();

  TensorFile file_;
  std::int64_t n_tokens_ = 0;
  std::int32_t next_token_ = 0;
  KvCache::Shape shape_;  // capacity = n_tokens
  int n_heads_ = 0;       // of q_train; 0 = no queries
  std::vector<std::int64_t> query_pos_;
};

}  // namespace ra::model
