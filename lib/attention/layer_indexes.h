// SPDX-License-Identifier: Apache-2.0
// The indexes of all layers of a model over its KV cache: built after a prefill or, of types that
// are learnt in pieces, while it goes on; and grown while decoding does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/attention/harvest.h"
#include "lib/attention/training.h"
#include "lib/index/registry.h"
#include "lib/index/row_search.h"
#include "lib/model/config.h"
#include "lib/model/kv_cache.h"

namespace ra::attention {

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
  double build_ms = 0;    // wall time of all builds
  double during_ms = 0;   // what of it passed before the prefill was over
  double harvest_ms = 0;  // of that: best keys of training queries (harvest.h)
  std::size_t bytes = 0;
  std::int64_t key_bytes = 0;  // of `bytes`: copies of keys
  index::BuildStats stats;     // summed times, of indexes side by side too, and work; degree and
                               // reachability are means
};

// An index that reads its keys in the cache (index::StoredKeys) does so at the addresses it was
// built at: the cache must be the same object in all calls and outlive this one's searches.
class LayerIndexes {
 public:
  // values: of types that are `by_share`, whether they learn values too (BuildInput::values).
  LayerIndexes(const AttentionShape& shape, const index::IndexSpec& spec, bool values = false);

  // Who takes the exact searches of builds, growth excepted; null: the threads here.
  void set_row_search(index::RowSearch* search) { search_ = search; }

  bool grows() const { return spec_.segment > 0; }
  int count() const;  // of indexes when all are built

  // Indexes what is complete of positions [sink, end) in every layer: whole segments from `sink`
  // on. Of types that do not grow, nothing.
  void build_complete(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                      const TrainingOf& training, std::uint64_t seed);
  // Of types that ask for them (IndexSpec::lists), offers the keys at positions [sink, end) that
  // are new to the training queries of all positions in `cache`. Once this was done for the last
  // key build() finds their lists ready.
  void harvest(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
               const QueriesOf& queries);
  // Indexes positions [sink, end), what is there already excepted; layers with a sliding window are
  // left out. The same bits whatever build_complete did before. `on_built` is called after each
  // index with the number done, one call at a time.
  void build(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
             const TrainingOf& training, std::uint64_t seed,
             const std::function<void(int done)>& on_built = {});
  // Of a layer: positions [sink, end(layer)) are indexed.
  std::int64_t sink() const { return sink_; }
  std::int64_t end(int layer) const { return ends_[ordinal(layer)]; }
  std::int64_t built_end() const { return built_end_; }

  // Appends positions [end(layer), end) as one segment, learnt by the metric of the prompt's last.
  void grow(const model::KvCache& cache, int layer, std::int64_t end);
  // Back to the build.
  void forget_growth(int layer);

  // Index of a query row of the group of a KV head.
  std::size_t slot(int layer, int kv_head, int row) const;
  const index::VectorIndex& at(std::size_t slot) const { return *indexes_[slot]; }
  bool empty() const { return indexes_.empty() || indexes_.front() == nullptr; }
  const IndexTotals& totals() const { return totals_; }  // of the build, without growth

 private:
  std::size_t ordinal(int layer) const;
  void extend(const model::KvCache& cache, int layer, int kv_head, std::int64_t end,
              const TrainingOf& training, std::uint64_t seed, index::RowSearch* search);
  void build_pieces(const model::KvCache& cache, std::int64_t end, const TrainingOf& training,
                    std::uint64_t seed, const std::function<void(int)>& on_built);
  void count_totals();
  void build_whole(const model::KvCache& cache, std::int64_t end, const TrainingOf& training,
                   std::uint64_t seed, const std::function<void(int)>& on_built);

  AttentionShape shape_;
  index::IndexSpec spec_;
  index::RowSearch* search_ = nullptr;
  bool values_;
  int per_kv_head_;            // indexes of a KV head
  std::vector<int> ordinals_;  // [layer]: its place among the layers that have an index, or -1
  std::vector<int> layers_;    // [ordinal]
  std::int64_t sink_ = 0, built_end_ = 0;
  std::vector<std::int64_t> ends_;                            // [ordinal]
  std::vector<std::unique_ptr<index::VectorIndex>> indexes_;  // [ordinal, kv_head or head]
  std::optional<Harvest> harvest_;
  IndexTotals totals_;
};

}  // namespace ra::attention
