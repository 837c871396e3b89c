// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/layer_indexes.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::attention {
namespace {

using Clock = std::chrono::steady_clock;

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Keys from position `first` on where the cache has them; int8 keys are no inner products yet.
index::StoredKeys stored_keys(const kernels::KvRows& rows, std::int64_t first) {
  if (rows.type == kernels::KvType::kInt8) return {};
  const std::size_t bytes = kernels::row_bytes(rows.type, rows.head_dim);
  return {static_cast<const std::byte*>(rows.k) + size(first) * bytes, rows.type, rows.head_dim};
}

}  // namespace

AttentionShape shape_of(const model::Config& c) {
  AttentionShape shape{c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.value_dim, {}};
  for (int layer = 0; layer < c.n_layers; ++layer) shape.windowed.push_back(c.window(layer) > 0);
  return shape;
}

LayerIndexes::LayerIndexes(const AttentionShape& shape, const index::IndexSpec& spec, bool values)
    : shape_(shape),
      spec_(spec),
      values_(values),
      per_kv_head_(spec.share_group ? 1 : shape.group()) {
  for (int layer = 0; layer < shape.layers; ++layer) {
    ordinals_.push_back(shape.has_index(layer) ? static_cast<int>(layers_.size()) : -1);
    if (shape.has_index(layer)) layers_.push_back(layer);
  }
  RA_CHECK(!values || (spec.by_share && grows()));
  ends_.resize(layers_.size());
  indexes_.resize(size(count()));
}

int LayerIndexes::count() const {
  return static_cast<int>(layers_.size()) * shape_.kv_heads * per_kv_head_;
}

std::size_t LayerIndexes::ordinal(int layer) const {
  RA_CHECK(ordinals_[size(layer)] >= 0);
  return size(ordinals_[size(layer)]);
}

std::size_t LayerIndexes::slot(int layer, int kv_head, int row) const {
  const int own = per_kv_head_ == 1 ? 0 : row;
  return (ordinal(layer) * size(shape_.kv_heads) + size(kv_head)) * size(per_kv_head_) + size(own);
}

// The indexes of a KV head up to `end`, segment by segment.
void LayerIndexes::extend(const model::KvCache& cache, int layer, int kv_head, std::int64_t end,
                          const TrainingOf& training, std::uint64_t seed,
                          index::RowSearch* search) {
  const kernels::KvRows rows = cache.rows(layer, kv_head);
  const int heads = shape_.group() / per_kv_head_;
  std::int64_t from = ends_[ordinal(layer)];
  while (from < end) {
    const std::int64_t to =
        std::min(end, from + static_cast<std::int64_t>(spec_.piece(size(from - sink_))));
    const Matrix<float> keys = model::widen_keys(rows, from, to),
                        values = values_ ? model::widen_values(rows, from, to) : Matrix<float>();
    for (int i = 0; i < per_kv_head_; ++i) {
      const HeldTraining held(training, layer, kv_head * shape_.group() + i * heads, heads, from,
                              to);
      const index::BuildInput in{.keys = keys.view(),
                                 .train = held.views,
                                 .seed = seed,
                                 .stored = stored_keys(rows, sink_),
                                 .search = search,
                                 .values = values.view()};
      auto& index = indexes_[slot(layer, kv_head, i)];
      if (index == nullptr) {
        index = index::build_index(spec_, in);
      } else {
        index::append_keys(spec_, *index, in);
      }
    }
    from = to;
  }
}

// KV heads side by side, each on one thread: most of a segment's work is too small to be shared
// out.
void LayerIndexes::build_pieces(const model::KvCache& cache, std::int64_t end,
                                const TrainingOf& training, std::uint64_t seed,
                                const std::function<void(int)>& on_built) {
  std::mutex told;
  int done = 0;
  parallel_for(layers_.size() * size(shape_.kv_heads), [&](std::size_t task, int) {
    const int layer = layers_[task / size(shape_.kv_heads)];
    extend(cache, layer, static_cast<int>(task % size(shape_.kv_heads)), end, training, seed,
           search_);
    if (!on_built) return;
    const std::lock_guard lock(told);
    for (int i = 0; i < per_kv_head_; ++i) on_built(++done);
  });
  std::ranges::fill(ends_, end);
}

void LayerIndexes::build_whole(const model::KvCache& cache, std::int64_t end,
                               const TrainingOf& training, std::uint64_t seed,
                               const std::function<void(int)>& on_built) {
  int done = 0;
  const int heads = shape_.group() / per_kv_head_;
  const bool harvested = harvest_ && harvest_->of(sink_, end);
  for (const int layer : layers_) {
    for (int kv = 0; kv < shape_.kv_heads; ++kv) {
      const kernels::KvRows rows = cache.rows(layer, kv);
      const Matrix<float> keys = model::widen_keys(rows, sink_, end);
      for (int i = 0; i < per_kv_head_; ++i) {
        const int first = kv * shape_.group() + i * heads;
        const HeldTraining held(training, layer, first, heads, 0, cache.size(layer));
        const index::KnnTable lists =
            harvested ? harvest_->take(ordinal(layer), first, heads) : index::KnnTable{};
        indexes_[slot(layer, kv, i)] =
            index::build_index(spec_, {.keys = keys.view(),
                                       .train = held.views,
                                       .seed = seed,
                                       .stored = stored_keys(rows, sink_),
                                       .lists = harvested ? &lists : nullptr,
                                       .search = search_});
        if (on_built) on_built(++done);
      }
    }
    ends_[ordinal(layer)] = end;
  }
  harvest_.reset();
}

void LayerIndexes::harvest(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                           const QueriesOf& queries) {
  if (spec_.lists == 0 || layers_.empty()) return;
  index::BuildClock clock;
  if (!harvest_) harvest_.emplace(layers_, shape_.kv_heads, shape_.group(), spec_.lists);
  harvest_->gather(cache, sink, end, queries, clock, totals_.stats.distances, search_);
  totals_.harvest_ms += clock.wall_ms();
  totals_.during_ms += clock.wall_ms();
  totals_.stats.cpu_s += clock.cpu_s();
}

void LayerIndexes::build_complete(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                                  const TrainingOf& training, std::uint64_t seed) {
  if (!grows() || layers_.empty()) return;
  if (empty()) {
    sink_ = sink;
    std::ranges::fill(ends_, sink);
  }
  std::int64_t whole = ends_.front();
  for (std::int64_t next = whole; next <= end;
       next += static_cast<std::int64_t>(spec_.piece(size(next - sink_))))
    whole = next;
  if (whole <= ends_.front()) return;
  const auto start = Clock::now();
  build_pieces(cache, whole, training, seed, {});
  totals_.during_ms += ms_since(start);
}

void LayerIndexes::build(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                         const TrainingOf& training, std::uint64_t seed,
                         const std::function<void(int done)>& on_built) {
  const auto start = Clock::now();
  if (empty() || !grows()) {
    sink_ = sink;
    std::ranges::fill(ends_, sink);
  }
  built_end_ = std::max(sink, end);
  if (built_end_ > sink_) {
    if (grows()) {
      build_pieces(cache, built_end_, training, seed, on_built);
    } else {
      build_whole(cache, built_end_, training, seed, on_built);
    }
  }
  totals_.build_ms = totals_.during_ms + ms_since(start);
  count_totals();
}

void LayerIndexes::grow(const model::KvCache& cache, int layer, std::int64_t end) {
  RA_CHECK(grows());
  parallel_for(size(shape_.kv_heads), [&](std::size_t kv, int) {
    extend(cache, layer, static_cast<int>(kv), end, {}, 0, nullptr);
  });
  ends_[ordinal(layer)] = end;
}

void LayerIndexes::forget_growth(int layer) {
  if (end(layer) == built_end_) return;
  for (int kv = 0; kv < shape_.kv_heads; ++kv)
    for (int i = 0; i < per_kv_head_; ++i)
      indexes_[slot(layer, kv, i)]->shrink(size(built_end_ - sink_));
  ends_[ordinal(layer)] = built_end_;
}

void LayerIndexes::count_totals() {
  if (empty()) return;
  IndexTotals& t = totals_;
  const auto n = static_cast<double>(indexes_.size());
  t.stats.reachable_frac = 0;
  for (const auto& index : indexes_) {
    const index::BuildStats& s = index->build_stats();
    t.bytes += index->memory_bytes();
    t.key_bytes += s.key_bytes;
    for (const auto field :
         {&index::BuildStats::build_ms, &index::BuildStats::knn_ms, &index::BuildStats::project_ms,
          &index::BuildStats::connect_ms, &index::BuildStats::metric_ms,
          &index::BuildStats::cluster_ms, &index::BuildStats::pack_ms, &index::BuildStats::cpu_s})
      t.stats.*field += s.*field;
    t.stats.distances += s.distances;
    t.stats.degree_mean += s.degree_mean / n;
    t.stats.degree_max = std::max(t.stats.degree_max, s.degree_max);
    t.stats.reachable_frac += s.reachable_frac / n;
  }
}

}  // namespace ra::attention
