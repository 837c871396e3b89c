// SPDX-License-Identifier: Apache-2.0
// One layer of a context: KV cache, the queries that are measured and those that indexes learn
// from, as the dump holds them or made from it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "apps/bench/options.h"
#include "lib/attention/train_queries.h"
#include "lib/core/memory.h"
#include "lib/model/attention_policy.h"
#include "lib/model/kv_cache.h"
#include "lib/stats/synthetic_context.h"
#include "lib/store/vectors.h"

namespace ra::bench_app {

class LayerData {
 public:
  // A prefix of the dump, in its own precision (bf16, otherwise f32); or, with o.synthetic, a
  // context made from all of it (stats::SyntheticContext), in bf16 as decode keeps it. The queries
  // measured are then the dump's last ones, which keep their distances to the last real keys;
  // training queries are those of the positions that keys were drawn from. Throws Error{kBadData}
  // if the dump has no query to measure.
  LayerData(const store::DumpReader& dump, int layer, std::int64_t context,
            const AttentionOptions& o, bool train, std::uint64_t seed);

  static model::KvCache::Shape cache_shape(const store::DumpInfo& info, std::int64_t context,
                                           const AttentionOptions& o);
  // What a context of this length keeps in memory at most, indexes apart.
  static std::vector<MemoryNeed> memory(const store::DumpInfo& info, std::int64_t context,
                                        const AttentionOptions& o);

  const model::KvCache& cache() const { return cache_; }
  const store::DumpInfo& info() const { return info_; }
  std::size_t count() const { return positions_.size(); }
  model::AttendInput input(std::size_t i) const;
  // For keys at positions [begin, end); empty if the dump has none.
  Matrix<float> training(int head, std::int64_t begin, std::int64_t end) const;
  attention::PlacedQueries budget_queries(int head) const;
  // Mean squared Mahalanobis distance of the measured queries to keys [begin, end) of their KV
  // heads (at most 16,384 of them, evenly spread); nothing if these are fewer than two.
  std::optional<double> query_distance(std::int64_t begin, std::int64_t end) const;

 private:
  void read_tests(const store::DumpReader& dump, int layer, std::int64_t from, std::int64_t end,
                  std::int64_t most, std::int64_t shift);
  void read_prefix(const store::DumpReader& dump, int layer, std::int64_t context);
  void read_training(const store::DumpReader& dump, int layer, std::int64_t split,
                     std::int64_t most);
  void make_context(const store::DumpReader& dump, int layer, const stats::SyntheticContext& made);
  void make_training(const store::DumpReader& dump, int layer, std::int64_t most,
                     std::int64_t split, const stats::RotaryPairs& pairs,
                     const stats::SyntheticContext& made);

  const store::DumpInfo& info_;
  model::KvCache cache_;
  Matrix<float> queries_;                         // [test queries, heads * head_dim]
  std::vector<std::int64_t> positions_;           // of the test queries
  std::vector<Matrix<float>> training_;           // per head [m, head_dim]
  std::vector<std::int64_t> training_positions_;  // [m]
};

}  // namespace ra::bench_app
