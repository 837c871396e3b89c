// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/sparse.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "kernels/ops.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/index/row_fetch.h"

namespace ra::attention {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

std::size_t row_bytes(const kernels::KvRows& rows) {
  return kernels::row_bytes(rows.type, rows.head_dim) +
         kernels::row_bytes(rows.type, rows.value_dim);
}

float least_share(const SparseOptions& o, std::int64_t cached) {
  const bool falls = cached < o.share_from;
  return static_cast<float>(
      falls ? o.share * static_cast<double>(cached) / static_cast<double>(o.share_from) : o.share);
}

}  // namespace

SparseAttention::SparseAttention(const AttentionShape& shape, const SparseOptions& options)
    : shape_(shape),
      options_(options),
      exact_(options.compute),
      static_acc_(size(shape.heads), size(shape.value_dim)),
      found_acc_(size(shape.heads), size(shape.value_dim)),
      static_parts_(size(shape.heads)),
      found_parts_(size(shape.heads)),
      kept_(size(shape.heads)),
      hits_(size(shape.heads)),
      positions_(size(shape.heads)) {
  for (int row = 0; row < shape.group(); ++row)
    group_heads_.push_back(static_cast<std::uint32_t>(row));
  // An index without an effort (the exact scan) reads each key once for the whole group, so its
  // group is never split. Other searches are independent per row and fill the threads. Heads that
  // attend together are kept together as far as there are no threads for all parts, by twos at
  // least.
  const bool shared_scan = options.index && options.index->type->effort_key.empty();
  if (options.index && !shared_scan)
    parts_ = options.group
                 ? std::clamp(threads() / shape.kv_heads, 1, std::max(1, shape.group() / 2))
                 : std::clamp((threads() + shape.kv_heads - 1) / shape.kv_heads, 1, shape.group());
  RA_CHECK(!options.group || (!options.cut.active() && !options.tail));
  RA_CHECK(options.share == 0 || (options.group && options.index && options.index->by_share));
  RA_CHECK(!options.rest || options.share > 0);
  if (options.index) indexes_.emplace(shape, *options.index, options.rest);
  if (options.index && options.tail) tails_.emplace(shape);
  buffers_.resize(size(shape.kv_heads * parts_));
  tail_scratch_.resize(buffers_.size());
  shortlists_.resize(buffers_.size());
}

void SparseAttention::build(const model::KvCache& cache, const TrainingOf& training,
                            std::uint64_t seed, const std::function<void(int)>& on_built) {
  const std::int64_t filled = cache.size(0);
  begin_ = std::min<std::int64_t>(options_.sink, filled);
  end_ = std::max<std::int64_t>(begin_, filled - options_.window);
  scratch_.clear();
  if (!indexes_) return;
  indexes_->build(cache, begin_, end_, training, seed, on_built);
  if (indexes_->empty()) return;
  if (tails_) tails_->build(cache, begin_, end_, training, seed);
  // Scratch that remembers belongs to an index; other scratch to a thread, whose caches it stays
  // in.
  sequential_ = indexes_->at(0).sequential();
  const std::size_t owners = size(sequential_ ? indexes_->count() * parts_ : threads());
  for (std::size_t i = 0; i < owners; ++i)
    scratch_.push_back(indexes_->at(sequential_ ? i / size(parts_) : 0).make_scratch());
}

void SparseAttention::build_complete(const model::KvCache& cache, const TrainingOf& training,
                                     std::uint64_t seed) {
  if (indexes_)
    indexes_->build_complete(cache, options_.sink, cache.size(0) - options_.window, training, seed);
}

void SparseAttention::harvest(const model::KvCache& cache, const QueriesOf& queries) {
  if (indexes_) indexes_->harvest(cache, options_.sink, cache.size(0) - options_.window, queries);
}

IndexTotals SparseAttention::totals() const {
  IndexTotals totals = indexes_ ? indexes_->totals() : IndexTotals{};
  if (tails_) {
    totals.build_ms += tails_->build_ms();
    totals.bytes += tails_->bytes();
  }
  return totals;
}

void SparseAttention::measure_budget(
    const model::KvCache& cache, const std::function<PlacedQueries(int layer, int head)>& queries,
    float scale) {
  RA_CHECK(!options_.group);
  shares_.clear();
  const std::vector<int> steps = budget_steps(options_.k);
  const BudgetScope scope{begin_, options_.window, scale};
  const std::size_t heads = size(shape_.heads);
  std::vector<std::size_t> slots;  // [layer, head] of the layers that retrieve
  for (int layer = 0; layer < shape_.layers; ++layer)
    for (std::size_t head = 0; head < heads && shape_.has_index(layer); ++head)
      slots.push_back(size(layer) * heads + head);
  std::vector<std::vector<double>> curves(slots.size());
  parallel_for(slots.size(), [&](std::size_t i, int) {
    const int layer = static_cast<int>(slots[i] / heads), head = static_cast<int>(slots[i] % heads);
    const PlacedQueries of_head = queries(layer, head);
    if (!of_head.positions.empty())
      curves[i] = mass_curve(cache.rows(layer, head / shape_.group()), of_head, scope, steps);
  });
  if (std::ranges::any_of(curves, [](const auto& curve) { return curve.empty(); })) return;
  shares_.resize(size(shape_.layers) * heads);
  const std::vector<int> shares = share_budget(curves, steps, options_.k);
  for (std::size_t i = 0; i < slots.size(); ++i) shares_[slots[i]] = shares[i];
}

model::AttendStats SparseAttention::attend(const model::AttendInput& in, MatView<float> out) {
  return in.q.rows > 1 || in.window > 0 ? exact_.attend(in, out) : decode(in, out);
}

// The positions of a step, after the index has taken in what the buffer has too much of.
SparseAttention::Ranges SparseAttention::make_ranges(const model::AttendInput& in) {
  const std::int64_t window = std::max(end_, in.pos - options_.window);
  if (!indexes_) return {begin_, window, window};
  if (indexes_->empty()) return {begin_, begin_, begin_};
  if (window < indexes_->end(in.layer)) indexes_->forget_growth(in.layer);
  if (tails_) tails_->follow(*in.cache, in.layer, window);
  const std::int64_t flush = options_.flush;
  if (flush > 0 && indexes_->grows())
    while (window - indexes_->end(in.layer) >= flush)
      indexes_->grow(*in.cache, in.layer, indexes_->end(in.layer) + flush);
  const std::int64_t end = indexes_->end(in.layer);
  return {begin_, end, std::max(end, window)};
}

void SparseAttention::attend_static(const model::AttendInput& in, const Ranges& at, Part heads,
                                    TaskLog& log) {
  const auto start = Clock::now();
  const std::size_t first_head = size(heads.first);
  kernels::PartialArgs args{.q = in.q.row(0) + first_head * size(shape_.head_dim),
                            .q_stride = size(shape_.head_dim),
                            .group = size(heads.count),
                            .kv = in.cache->rows(in.layer, heads.first / shape_.group()),
                            .scale = in.scale,
                            .out = &static_parts_[first_head],
                            .exact_f32 = exact_f32()};
  const std::int64_t after = in.pos + 1;
  for (const auto& [begin, end] : {std::pair{std::int64_t{0}, std::min(at.sink, after)},
                                   std::pair{std::min(at.window, after), after}}) {
    if (end <= begin) continue;
    args.first = size(begin);
    args.n = size(end - begin);
    kernels::ops().attend_partial(args);
    log.kv_rows += end - begin;
  }
  log.static_ms = ms_since(start);
}

// Waits for the static source. It may have been done for long: it ended when its device says.
void SparseAttention::finish_static(const model::AttendInput& in, const Ranges& at,
                                    Clock::time_point start, TaskLog& log) {
  log.static_ms = static_source_->finish(static_parts_);
  log.end_ms = std::min(ms_since(start), log.begin_ms + log.static_ms);
  const std::int64_t after = in.pos + 1;
  log.kv_rows = shape_.kv_heads * (std::min(at.sink, after) + after - std::min(at.window, after));
}

// s.scores [rows, keys of the buffer] of query heads head.. with the keys of theirs.
void SparseAttention::score_buffer(const model::AttendInput& in, const Ranges& at, std::size_t head,
                                   std::size_t rows, BufferScratch& s, TaskLog& log) {
  const std::size_t n = size(at.window - at.buffer), dim = size(shape_.head_dim);
  const kernels::KvRows kv = in.cache->rows(in.layer, static_cast<int>(head) / shape_.group());
  s.scores.resize(std::max(s.scores.size(), rows * n));
  kernels::ScoreArgs args{.q = in.q.row(0) + head * dim,
                          .q_stride = dim,
                          .group = rows,
                          .dim = dim,
                          .keys = kv.k,
                          .type = kv.type,
                          .key_stride = dim,
                          .first = size(at.buffer),
                          .n = n,
                          .out = s.scores.data(),
                          .out_stride = n};
  if (kv.type == kernels::KvType::kInt8) {
    if (s.keys.rows() < n) s.keys = Matrix<float>(2 * n, dim);
    for (std::size_t i = 0; i < n; ++i)
      model::widen_key(kv, size(at.buffer) + i, s.keys.row_span(i));
    args.keys = s.keys.data();
    args.type = kernels::KvType::kF32;
    args.first = 0;
  }
  kernels::ops().score(args);
  log.stats.distances += static_cast<std::int64_t>(rows * n);
  log.stats.bytes +=
      static_cast<std::int64_t>(n * kernels::row_bytes(kv.type, size(shape_.head_dim)));
}

// The best of the buffer and of the hits so far.
void SparseAttention::scan_buffer(const model::AttendInput& in, const Ranges& at, int kv_head,
                                  int part, TaskLog& log) {
  const std::size_t n = size(at.window - at.buffer);
  if (n == 0) return;
  const Part heads = part_of(kv_head, part);
  const std::size_t head = size(heads.first), rows = size(heads.count);
  BufferScratch& s = buffers_[size(kv_head * parts_ + part)];
  score_buffer(in, at, head, rows, s, log);
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<index::Hit>& hits = hits_[head + r];
    s.ids.clear();
    s.together.clear();
    for (const index::Hit& hit : hits) {
      s.ids.push_back(hit.id);
      s.together.push_back(hit.score);
    }
    for (std::size_t i = 0; i < n; ++i)
      s.ids.push_back(static_cast<std::uint32_t>(at.buffer - at.sink) +
                      static_cast<std::uint32_t>(i));
    s.together.insert(s.together.end(), &s.scores[r * n], s.scores.data() + (r + 1) * n);
    (options_.cut.active() ? index::best_hits : index::best_unranked)(
        s.together, s.ids, size(k_of(in.layer, head + r)), s.cut, hits);
  }
}

void SparseAttention::search(const model::AttendInput& in, const Ranges& at, int kv_head, int part,
                             int thread, TaskLog& log) {
  const auto start = Clock::now();
  const Part heads = part_of(kv_head, part);
  const auto search_heads = [&](int first, int count) {
    const int row = first - kv_head * shape_.group();
    const std::size_t slot = indexes_->slot(in.layer, kv_head, row);
    const std::size_t head = size(first);
    int most = 0;
    for (std::size_t h = head; h < head + size(count); ++h)
      most = std::max(most, k_of(in.layer, h));
    const index::SearchParams params{
        .k = most,
        .effort = options_.effort,
        .ranked = options_.cut.active() || !shares_.empty(),
        .heads = std::span(group_heads_).subspan(size(row), size(count))};
    log.stats += indexes_->at(slot).search(
        {in.q.row(0) + head * size(shape_.head_dim), size(count), size(shape_.head_dim)}, params,
        scratch_of(slot, part, thread), std::span(hits_).subspan(head, size(count)));
    for (std::size_t h = head; h < head + size(count); ++h)
      hits_[h].resize(std::min(hits_[h].size(), size(k_of(in.layer, h))));
  };
  if (options_.index->share_group) {
    search_heads(heads.first, heads.count);
  } else {
    for (int i = 0; i < heads.count; ++i) search_heads(heads.first + i, 1);
  }
  scan_buffer(in, at, kv_head, part, log);
  log.search_ms = ms_since(start);
}

// shortlists_[kv_head, part] = positions of what the index has for any head of the part, and the
// buffer.
void SparseAttention::search_group(const model::AttendInput& in, const Ranges& at, int kv_head,
                                   int part, int thread, TaskLog& log) {
  const auto start = Clock::now();
  const Part heads = part_of(kv_head, part);
  index::Shortlist& list = shortlists_[size(kv_head * parts_ + part)];
  const kernels::KvRows kv = in.cache->rows(in.layer, kv_head);
  const auto found_rows = [&](const void* rows, std::size_t dim) {
    const std::size_t bytes = kernels::row_bytes(kv.type, dim);
    return index::RowFetch::Rows{static_cast<const std::byte*>(rows) + size(at.sink) * bytes,
                                 bytes};
  };
  std::vector<float>& held = buffers_[size(kv_head * parts_ + part)].held;
  held.assign(size(heads.count), 0.0f);
  if (options_.share > 0) {  // else the static set may not be done
    for (int i = 0; i < heads.count; ++i) {
      const kernels::Partial& fixed = static_parts_[size(heads.first + i)];
      held[size(i)] = fixed.max + std::log(fixed.sum);
    }
  }
  const index::RowFetch fetch{found_rows(kv.k, kv.head_dim), found_rows(kv.v, kv.value_dim)};
  const auto search_heads = [&](int head, int count, index::Shortlist& found) {
    const int row = head - kv_head * shape_.group();
    const std::size_t slot = indexes_->slot(in.layer, kv_head, row), dim = size(shape_.head_dim);
    const index::AttentionShare share{
        .least = least_share(options_, in.pos + 1),
        .scale = in.scale,
        .held = std::span<const float>(held).subspan(size(head - heads.first), size(count)),
        .rest = options_.rest};
    const index::SearchParams params{
        .k = options_.k,
        .effort = options_.effort,
        .ranked = false,
        .heads = std::span(group_heads_).subspan(size(row), size(count)),
        .fetch = &fetch,
        .share = options_.share > 0 ? &share : nullptr};
    log.stats += indexes_->at(slot).shortlist({in.q.row(0) + size(head) * dim, size(count), dim},
                                              params, scratch_of(slot, part, thread), found);
  };
  if (options_.index->share_group) {
    search_heads(heads.first, heads.count, list);
  } else {
    list.clear();
    index::Shortlist of_row;
    for (int i = 0; i < heads.count; ++i) {
      search_heads(heads.first + i, 1, of_row);
      list.append(of_row);
    }
    index::join_rows(list, size(heads.count), log.stats);
  }
  for (std::uint32_t& id : list.ids) id += static_cast<std::uint32_t>(at.sink);
  add_buffer(in, at, kv_head, part, log);
  log.search_ms = ms_since(start);
}

// All of a short buffer, of a long one what the index would have listed too.
void SparseAttention::add_buffer(const model::AttendInput& in, const Ranges& at, int kv_head,
                                 int part, TaskLog& log) {
  const Part heads = part_of(kv_head, part);
  index::Shortlist& list = shortlists_[size(kv_head * parts_ + part)];
  const std::size_t n = size(at.window - at.buffer), rows = size(heads.count),
                    listed = list.ids.size();
  const auto add = [&](std::size_t i) {
    list.ids.push_back(static_cast<std::uint32_t>(size(at.buffer) + i));
  };
  if (n <= size(options_.k)) {
    for (std::size_t i = 0; i < n; ++i) add(i);
  } else {
    BufferScratch& s = buffers_[size(kv_head * parts_ + part)];
    score_buffer(in, at, size(heads.first), rows, s, log);
    s.wanted.assign(n, 0);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < n; ++i)
        s.wanted[i] |= static_cast<std::uint8_t>(s.scores[r * n + i] >= list.floors[r]);
    for (std::size_t i = 0; i < n; ++i)
      if (s.wanted[i] != 0) add(i);
  }
  log.stats.distances += static_cast<std::int64_t>(rows * (list.ids.size() - listed));
}

void SparseAttention::attend_group(const model::AttendInput& in, int kv_head, int part,
                                   TaskLog& log) {
  const auto start = Clock::now();
  const Part heads = part_of(kv_head, part);
  const std::size_t dim = size(shape_.head_dim);
  index::Shortlist& list = shortlists_[size(kv_head * parts_ + part)];
  const auto& ids = list.ids;
  if (!ids.empty())
    kernels::ops().attend_partial({.q = in.q.row(0) + size(heads.first) * dim,
                                   .q_stride = dim,
                                   .group = size(heads.count),
                                   .kv = in.cache->rows(in.layer, kv_head),
                                   .ids = ids.data(),
                                   .n = ids.size(),
                                   .scale = in.scale,
                                   .out = &found_parts_[size(heads.first)],
                                   .exact_f32 = exact_f32()});
  for (std::size_t r = 0; r < list.rest.sums.size(); ++r)
    if (list.rest.sums[r] > 0)
      kernels::merge(found_parts_[size(heads.first) + r],
                     {.max = list.floors[r] * in.scale,
                      .sum = list.rest.sums[r],
                      .acc = &list.rest.values[r * list.rest.stride]},
                     size(shape_.value_dim));
  log.kv_rows += std::ssize(ids);
  log.attended = heads.count * std::ssize(ids);
  log.gather_ms = ms_since(start);
}

std::vector<std::vector<std::uint32_t>> SparseAttention::last_retrieved() const {
  if (!options_.group) return positions_;
  std::vector<std::vector<std::uint32_t>> of_head;
  for (int i = 0; i < shape_.kv_heads * parts_; ++i)
    of_head.insert(of_head.end(), size(part_of(i / parts_, i % parts_).count),
                   shortlists_[size(i)].ids);
  return of_head;
}

void SparseAttention::attend_hits(const model::AttendInput& in, const Ranges& at, int kv_head,
                                  int part, TaskLog& log) {
  const auto start = Clock::now();
  const Part heads = part_of(kv_head, part);
  kernels::PartialArgs args{.q_stride = size(shape_.head_dim),
                            .group = 1,
                            .kv = in.cache->rows(in.layer, kv_head),
                            .scale = in.scale,
                            .exact_f32 = exact_f32()};
  for (int i = 0; i < heads.count; ++i) {
    const std::size_t head = size(heads.first + i);
    kept_[head] = std::span<const index::Hit>(hits_[head])
                      .first(kept_hits(options_.cut, hits_[head], in.scale, static_parts_[head]));
    auto& ids = positions_[head];
    ids.clear();
    for (const index::Hit& hit : kept_[head])
      ids.push_back(hit.id + static_cast<std::uint32_t>(at.sink));
    args.q = in.q.row(0) + head * size(shape_.head_dim);
    args.ids = ids.data();
    args.n = ids.size();
    args.out = &found_parts_[head];
    if (args.n > 0) kernels::ops().attend_partial(args);
    log.attended += static_cast<std::int64_t>(ids.size());
  }
  log.kv_rows = log.attended;
  if (tails_) add_tail(in, kv_head, part, log);
  log.gather_ms = ms_since(start);
}

// What the keys that are not attended come to, into the parts of the hits.
void SparseAttention::add_tail(const model::AttendInput& in, int kv_head, int part, TaskLog& log) {
  const Part heads = part_of(kv_head, part);
  const std::size_t rows = size(heads.count), head = size(heads.first), dim = size(shape_.head_dim);
  const TailCells& cells = tails_->at(in.layer, kv_head);
  cells.estimate({in.q.row(0) + head * dim, rows, dim}, in.scale,
                 std::span(kept_).subspan(head, rows), tail_scratch_[size(kv_head * parts_ + part)],
                 std::span(found_parts_).subspan(head, rows));
  // A mean and a variance of scores for each cell.
  log.stats.distances += static_cast<std::int64_t>(2 * rows * cells.cells());
  log.stats.bytes += static_cast<std::int64_t>(cells.read_bytes());
}

// From when the first of some tasks began to when the last ended.
SparseAttention::Span SparseAttention::span_of(std::span<const TaskLog> logs) {
  Span span{logs.front().begin_ms, 0};
  for (const TaskLog& log : logs) {
    span.begin = std::min(span.begin, log.begin_ms);
    span.end = std::max(span.end, log.end_ms);
  }
  return span;
}

model::AttendStats SparseAttention::decode(const model::AttendInput& in, MatView<float> out) {
  for (int h = 0; h < shape_.heads; ++h) {
    const std::size_t i = size(h);
    std::fill_n(static_acc_.row(i), static_acc_.cols(), 0.0f);
    std::fill_n(found_acc_.row(i), found_acc_.cols(), 0.0f);
    static_parts_[i] = {.acc = static_acc_.row(i)};
    found_parts_[i] = {.acc = found_acc_.row(i)};
  }
  const auto grow_start = Clock::now();
  const Ranges at = make_ranges(in);
  const double grow_ms = indexes_ && indexes_->grows() ? ms_since(grow_start) : 0;
  const int searches = indexes_ && !indexes_->empty() ? shape_.kv_heads * parts_ : 0;
  // A search that asks what the static set holds attends to it first, unless all have done so. A
  // static set that another device attends to is one task, which nobody here has.
  const bool static_first = options_.share > 0 && searches > 0 && !options_.sequential;
  std::vector<TaskLog> logs(size(searches + (static_first                ? 0
                                             : static_source_ != nullptr ? 1
                                                                         : shape_.kv_heads)));
  // The searches come first: they are the longer tasks. How many hits are attended may depend on
  // the static set's part; then they wait for it.
  const auto start = Clock::now();
  const bool waits = options_.cut.active();
  const auto run = [&](std::size_t task, int thread) {
    const int t = static_cast<int>(task), kv_head = t / parts_, part = t % parts_;
    TaskLog& log = logs[task];
    log.begin_ms = ms_since(start);
    if (t >= searches) {
      attend_static(in, at, {(t - searches) * shape_.group(), shape_.group()}, log);
    } else if (options_.group) {
      if (static_first) attend_static(in, at, part_of(kv_head, part), log);
      search_group(in, at, kv_head, part, thread, log);
      attend_group(in, kv_head, part, log);
    } else {
      search(in, at, kv_head, part, thread, log);
      if (!waits) attend_hits(in, at, kv_head, part, log);
    }
    log.end_ms = ms_since(start);
  };
  if (static_source_ != nullptr) {
    logs.back().begin_ms = ms_since(start);
    static_source_->start(in, std::min(at.sink, in.pos + 1), std::min(at.window, in.pos + 1));
    if (options_.sequential) finish_static(in, at, start, logs.back());
    parallel_for(size(searches), run);
    if (!options_.sequential) finish_static(in, at, start, logs.back());
  } else if (options_.sequential) {
    const std::size_t first = size(searches);
    parallel_for(logs.size() - first, [&](std::size_t i, int thread) { run(first + i, thread); });
    parallel_for(first, run);
  } else {
    parallel_for(logs.size(), run);
  }
  if (waits)
    parallel_for(size(searches), [&](std::size_t task, int) {
      const int t = static_cast<int>(task);
      attend_hits(in, at, t / parts_, t % parts_, logs[task]);
      logs[task].end_ms = ms_since(start);
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
    stats.search_cells_ms += log.stats.times.cells;
    stats.search_pick_ms += log.stats.times.pick;
    stats.search_floor_ms += log.stats.times.floor;
    stats.search_filter_ms += log.stats.times.filter;
    stats.distances += log.stats.distances;
    stats.bytes += log.stats.bytes;
    stats.hops += log.stats.hops;
    stats.attended_keys += log.attended;
    kv_rows += log.kv_rows;
  }
  if (searches > 0 && !static_first) {
    const auto found = std::span(logs).first(size(searches)),
               fixed = std::span(logs).subspan(size(searches));
    const Span search = span_of(found), fixed_set = span_of(fixed);
    stats.overlap_ms = std::max(
        0.0, std::min(search.end, fixed_set.end) - std::max(search.begin, fixed_set.begin));
    stats.search_wait_ms = std::max(0.0, fixed_set.end - search.end);
    stats.static_wait_ms = std::max(0.0, search.end - fixed_set.end);
  }
  stats.bytes += kv_rows * static_cast<std::int64_t>(row_bytes(in.cache->rows(in.layer, 0)));
  if (searches > 0) stats.indexed_keys = (at.window - at.sink) * shape_.heads;
  // The parallel phase's wall time, shared out in proportion to the busy time of its parts.
  const double busy = stats.search_busy_ms + gather_busy + stats.static_busy_ms;
  const double share = busy > 0 ? parallel_ms / busy : 0;
  stats.search_ms = stats.search_busy_ms * share + grow_ms;
  stats.grow_ms = grow_ms;
  stats.gather_ms = gather_busy * share;
  stats.static_ms = stats.static_busy_ms * share;
  return stats;
}

}  // namespace ra::attention
