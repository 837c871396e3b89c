// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/sparse.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "kernels/ops.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::attention {
namespace {

using Clock = std::chrono::steady_clock;

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Keys [begin, end) of one KV head, widened to f32.
Matrix<float> widen_keys(const kernels::KvRows& rows, std::int64_t begin, std::int64_t end) {
  Matrix<float> out(size(end - begin), rows.head_dim);
  for (std::size_t i = 0; i < out.rows(); ++i)
    model::widen_key(rows, size(begin) + i, out.row_span(i));
  return out;
}

std::size_t row_bytes(const kernels::KvRows& rows) {
  return kernels::row_bytes(rows.type, rows.head_dim) +
         kernels::row_bytes(rows.type, rows.value_dim);
}

}  // namespace

AttentionShape shape_of(const model::Config& c) {
  AttentionShape shape{c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.value_dim, {}};
  for (int layer = 0; layer < c.n_layers; ++layer) shape.windowed.push_back(c.window(layer) > 0);
  return shape;
}

SparseAttention::SparseAttention(const AttentionShape& shape, const SparseOptions& options)
    : shape_(shape),
      options_(options),
      static_acc_(size(shape.heads), size(shape.value_dim)),
      found_acc_(size(shape.heads), size(shape.value_dim)),
      static_parts_(size(shape.heads)),
      found_parts_(size(shape.heads)),
      hits_(size(shape.heads)),
      positions_(size(shape.heads)) {
  for (int row = 0; row < shape.group(); ++row)
    group_heads_.push_back(static_cast<std::uint32_t>(row));
  int ordinal = 0;
  for (int layer = 0; layer < shape.layers; ++layer)
    ordinals_.push_back(shape.has_index(layer) ? ordinal++ : -1);
  // An index without an effort (the exact scan) reads each key once for the whole group, so its
  // group is never split; other searches are independent per row and fill the threads.
  const bool shared_scan = options.index && options.index->type->effort_key.empty();
  if (options.index && !shared_scan)
    parts_ = std::clamp((threads() + shape.kv_heads - 1) / shape.kv_heads, 1, shape.group());
}

int SparseAttention::index_count() const {
  if (!options_.index) return 0;
  const auto layers = std::ranges::count_if(ordinals_, [](int ordinal) { return ordinal >= 0; });
  return static_cast<int>(layers) * (options_.index->share_group ? shape_.kv_heads : shape_.heads);
}

std::size_t SparseAttention::index_slot(int layer, int kv_head, int row) const {
  const int ordinal = ordinals_[size(layer)];
  RA_CHECK(ordinal >= 0);
  if (options_.index->share_group) return size(ordinal * shape_.kv_heads + kv_head);
  return size(ordinal * shape_.heads + kv_head * shape_.group() + row);
}

void SparseAttention::build(const model::KvCache& cache, const QueriesOf& queries,
                            std::uint64_t seed, const std::function<void(int)>& on_built) {
  const std::int64_t filled = cache.size(0);
  begin_ = std::min<std::int64_t>(options_.sink, filled);
  end_ = std::max<std::int64_t>(begin_, filled - options_.window);
  indexes_.clear();
  scratch_.clear();
  totals_ = {};
  if (!options_.index || end_ == begin_) return;
  const int per_kv_head = options_.index->share_group ? 1 : shape_.group();
  const int queries_per_index = shape_.group() / per_kv_head;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    if (!shape_.has_index(layer)) continue;
    for (int kv = 0; kv < shape_.kv_heads; ++kv) {
      const Matrix<float> keys = widen_keys(cache.rows(layer, kv), begin_, end_);
      for (int i = 0; i < per_kv_head; ++i) {
        index::BuildInput in{.keys = keys.view(), .train = {}, .seed = seed};
        const int first = kv * shape_.group() + i * queries_per_index;
        std::vector<Matrix<float>> train;  // the views of `in` point here
        for (int h = first; queries && h < first + queries_per_index; ++h)
          train.push_back(queries(layer, h));
        for (const auto& rows : train)
          if (rows.rows() > 0) in.train.push_back({rows.view()});
        indexes_.push_back(index::build_index(*options_.index, in));
        for (int part = 0; part < parts_; ++part)
          scratch_.push_back(indexes_.back()->make_scratch());
        if (on_built) on_built(static_cast<int>(indexes_.size()));
      }
    }
  }
  const auto count = static_cast<double>(indexes_.size());
  for (const auto& built : indexes_) {
    const index::BuildStats& s = built->build_stats();
    totals_.bytes += built->memory_bytes();
    totals_.build_ms += s.build_ms;
    totals_.stats.build_ms += s.build_ms;
    totals_.stats.knn_ms += s.knn_ms;
    totals_.stats.project_ms += s.project_ms;
    totals_.stats.connect_ms += s.connect_ms;
    totals_.stats.cpu_s += s.cpu_s;
    totals_.stats.distances += s.distances;
    totals_.stats.degree_mean += s.degree_mean / count;
    totals_.stats.degree_max = std::max(totals_.stats.degree_max, s.degree_max);
  }
  totals_.stats.reachable_frac = std::accumulate(
      indexes_.begin(), indexes_.end(), 0.0,
      [&](double sum, const auto& i) { return sum + i->build_stats().reachable_frac / count; });
}

model::AttendStats SparseAttention::attend(const model::AttendInput& in, MatView<float> out) {
  return in.q.rows > 1 || in.window > 0 ? exact_.attend(in, out) : decode(in, out);
}

void SparseAttention::attend_static(const model::AttendInput& in, int kv_head, TaskLog& log) {
  const auto start = Clock::now();
  const std::size_t first_head = size(kv_head * shape_.group());
  kernels::PartialArgs args{.q = in.q.row(0) + first_head * size(shape_.head_dim),
                            .q_stride = size(shape_.head_dim),
                            .group = size(shape_.group()),
                            .kv = in.cache->rows(in.layer, kv_head),
                            .scale = in.scale,
                            .out = &static_parts_[first_head]};
  const std::int64_t after = in.pos + 1;
  for (const auto& [begin, end] : {std::pair{std::int64_t{0}, std::min(begin_, after)},
                                   std::pair{std::min(end_, after), after}}) {
    if (end <= begin) continue;
    args.first = size(begin);
    args.n = size(end - begin);
    kernels::ops().attend_partial(args);
    log.kv_rows += end - begin;
  }
  log.static_ms = ms_since(start);
}

void SparseAttention::retrieve(const model::AttendInput& in, int kv_head, int part, TaskLog& log) {
  const int group = shape_.group();
  const int first = group * part / parts_, last = group * (part + 1) / parts_;
  const auto head_row = [&](int row) {
    return in.q.row(0) + size(kv_head * group + row) * size(shape_.head_dim);
  };
  const auto search = [&](int from, int count) {
    const std::size_t slot = index_slot(in.layer, kv_head, from);
    const index::SearchParams params{
        .k = options_.k,
        .effort = options_.effort,
        .heads = std::span(group_heads_).subspan(size(from), size(count))};
    log.stats +=
        indexes_[slot]->search({head_row(from), size(count), size(shape_.head_dim)}, params,
                               *scratch_[slot * size(parts_) + size(part)],
                               std::span(hits_).subspan(size(kv_head * group + from), size(count)));
  };
  auto start = Clock::now();
  if (options_.index->share_group) {
    search(first, last - first);
  } else {
    for (int row = first; row < last; ++row) search(row, 1);
  }
  log.search_ms = ms_since(start);

  start = Clock::now();
  kernels::PartialArgs args{.q_stride = size(shape_.head_dim),
                            .group = 1,
                            .kv = in.cache->rows(in.layer, kv_head),
                            .scale = in.scale};
  for (int row = first; row < last; ++row) {
    const std::size_t head = size(kv_head * group + row);
    auto& ids = positions_[head];
    ids.clear();
    for (const index::Hit& hit : hits_[head])
      ids.push_back(hit.id + static_cast<std::uint32_t>(begin_));
    args.q = head_row(row);
    args.ids = ids.data();
    args.n = ids.size();
    args.out = &found_parts_[head];
    if (args.n > 0) kernels::ops().attend_partial(args);
    log.kv_rows += static_cast<std::int64_t>(ids.size());
  }
  log.gather_ms = ms_since(start);
}

model::AttendStats SparseAttention::decode(const model::AttendInput& in, MatView<float> out) {
  for (int h = 0; h < shape_.heads; ++h) {
    const std::size_t i = size(h);
    std::fill_n(static_acc_.row(i), static_acc_.cols(), 0.0f);
    std::fill_n(found_acc_.row(i), found_acc_.cols(), 0.0f);
    static_parts_[i] = {.acc = static_acc_.row(i)};
    found_parts_[i] = {.acc = found_acc_.row(i)};
  }
  const int searches = indexes_.empty() ? 0 : shape_.kv_heads * parts_;
  std::vector<TaskLog> logs(size(searches + shape_.kv_heads));
  // The searches come first: they are the longer tasks.
  const auto start = Clock::now();
  parallel_for(logs.size(), [&](std::size_t task, int) {
    const int t = static_cast<int>(task);
    if (t < searches)
      retrieve(in, t / parts_, t % parts_, logs[task]);
    else
      attend_static(in, t - searches, logs[task]);
  });
  const double parallel_ms = ms_since(start);

  const auto merge_start = Clock::now();
  const std::size_t dim = size(shape_.value_dim);
  for (std::size_t h = 0; h < size(shape_.heads); ++h) {
    kernels::merge(static_parts_[h], found_parts_[h], dim);
    kernels::finish(static_parts_[h], out.row(0) + h * dim, dim);
  }
  model::AttendStats stats;
  stats.merge_ms = ms_since(merge_start);
  double gather_busy = 0;
  std::int64_t kv_rows = 0;
  for (const TaskLog& log : logs) {
    stats.search_busy_ms += log.search_ms;
    stats.static_busy_ms += log.static_ms;
    gather_busy += log.gather_ms;
    stats.distances += log.stats.distances;
    stats.bytes += log.stats.bytes;
    stats.hops += log.stats.hops;
    kv_rows += log.kv_rows;
  }
  stats.bytes += kv_rows * static_cast<std::int64_t>(row_bytes(in.cache->rows(in.layer, 0)));
  if (searches > 0) stats.indexed_keys = (end_ - begin_) * shape_.heads;
  // The parallel phase's wall time, shared out in proportion to the busy time of its parts.
  const double busy = stats.search_busy_ms + gather_busy + stats.static_busy_ms;
  const double share = busy > 0 ? parallel_ms / busy : 0;
  stats.search_ms = stats.search_busy_ms * share;
  stats.gather_ms = gather_busy * share;
  stats.static_ms = stats.static_busy_ms * share;
  return stats;
}

}  // namespace ra::attention
