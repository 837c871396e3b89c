// SPDX-License-Identifier: Apache-2.0
// RetrievalAttention's decode step (arXiv 2409.10516, section 3): a static set (sink and recent
// window) and the keys an index retrieves are attended at the same time, and the two partial
// results are merged exactly. Without an index it is a streaming policy (static set only).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/partial.h"
#include "lib/attention/train_queries.h"
#include "lib/core/matrix.h"
#include "lib/index/registry.h"
#include "lib/model/attention_policy.h"
#include "lib/model/config.h"
#include "lib/model/exact_attention.h"

namespace ra::attention {

struct SparseOptions {
  int sink = 128, window = 512;  // positions always attended: the first and the last
  int k = 100;                   // keys retrieved per query head
  int effort = 0;                // 0 = the index's default
  std::optional<index::IndexSpec> index;
};

// Shape of the attention it serves: one layer of a dump or all layers of a model.
struct AttentionShape {
  int layers = 0, heads = 0, kv_heads = 0, head_dim = 0, value_dim = 0;
  std::vector<bool> windowed;  // [layers]: has a sliding window, and so no index; empty: none has
  bool has_index(int layer) const {
    return windowed.empty() || !windowed[static_cast<std::size_t>(layer)];
  }
  int group() const { return heads / kv_heads; }
};
AttentionShape shape_of(const model::Config& config);

// Sums over all indexes of a policy.
struct IndexTotals {
  double build_ms = 0;
  std::size_t bytes = 0;
  index::BuildStats stats;  // summed times and work; degree and reachability are means
};

class SparseAttention : public model::AttentionPolicy {
 public:
  SparseAttention(const AttentionShape& shape, const SparseOptions& options);

  // Training queries of (layer, query head); may return an empty matrix if the index needs none.
  using QueriesOf = std::function<Matrix<float>(int layer, int head)>;
  // Indexes positions [sink, size - window) of every layer and KV head of `cache`; what lies
  // outside, and every later position, is static. Layers with a sliding window are left out.
  // `on_built` is called after each index with the number done.
  void build(const model::KvCache& cache, const QueriesOf& queries, std::uint64_t seed,
             const std::function<void(int done)>& on_built = {});

  model::AttendStats attend(const model::AttendInput& in, MatView<float> out) override;

  int index_count() const;  // how many build() makes
  const IndexTotals& totals() const { return totals_; }
  std::int64_t indexed_begin() const { return begin_; }
  std::int64_t indexed_end() const { return end_; }
  // Ids (positions) retrieved for each query head by the last one-row attend of any indexed layer.
  const std::vector<std::vector<std::uint32_t>>& last_retrieved() const { return positions_; }

 private:
  // What one task of a decode step did; summed in task order, so counters repeat exactly.
  struct TaskLog {
    double search_ms = 0, gather_ms = 0, static_ms = 0;
    index::SearchStats stats;
    std::int64_t kv_rows = 0;
  };
  std::size_t index_slot(int layer, int kv_head, int row) const;
  model::AttendStats decode(const model::AttendInput& in, MatView<float> out);
  void retrieve(const model::AttendInput& in, int kv_head, int part, TaskLog& log);
  void attend_static(const model::AttendInput& in, int kv_head, TaskLog& log);

  AttentionShape shape_;
  SparseOptions options_;
  model::ExactAttention exact_;             // prefill
  std::vector<std::uint32_t> group_heads_;  // 0, 1, ... of a group
  int parts_ = 1;  // row ranges a group is split into when there are more threads
  std::int64_t begin_ = 0, end_ = 0;
  std::vector<int> ordinals_;  // [layer]: its place among the layers that have an index
  std::vector<std::unique_ptr<index::VectorIndex>> indexes_;    // [ordinal, kv_head or head]
  std::vector<std::unique_ptr<index::SearchScratch>> scratch_;  // [index, part]
  Matrix<float> static_acc_, found_acc_;                        // [heads, value_dim]
  std::vector<kernels::Partial> static_parts_, found_parts_;    // [heads]
  std::vector<std::vector<index::Hit>> hits_;                   // [heads]
  std::vector<std::vector<std::uint32_t>> positions_;           // [heads]
  IndexTotals totals_;
};

}  // namespace ra::attention
