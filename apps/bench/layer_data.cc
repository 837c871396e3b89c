// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/layer_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/bench/dump_rotary.h"
#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/stats/mahalanobis.h"

namespace ra::bench_app {
namespace {

constexpr std::int64_t kBlock = 4096;  // rows converted at a time

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Rows of q_pos whose position is in [begin, end), at most `most` of them, spread evenly.
std::vector<std::int64_t> pick_rows(const store::DumpInfo& info, std::int64_t begin,
                                    std::int64_t end, std::int64_t most) {
  const auto first = std::ranges::lower_bound(info.q_pos, begin) - info.q_pos.begin();
  const auto last = std::ranges::lower_bound(info.q_pos, end) - info.q_pos.begin();
  const std::int64_t count = last - first, take = std::min(count, most);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < take; ++i) rows.push_back(first + i * count / take);
  return rows;
}

using ReadHead = Matrix<float> (store::DumpReader::*)(int, int, std::int64_t, std::int64_t) const;

// Positions [first, first + count) of all KV heads: [count, heads * dim].
Matrix<float> token_rows(const store::DumpReader& dump, ReadHead read, int layer, std::int64_t dim,
                         std::int64_t first, std::int64_t count) {
  const std::int64_t heads = dump.info().n_kv_heads;
  Matrix<float> out(size(count), size(heads * dim));
  for (int h = 0; h < heads; ++h) {
    const Matrix<float> of_head = (dump.*read)(layer, h, first, count);
    for (std::size_t r = 0; r < size(count); ++r)
      std::ranges::copy(of_head.row_span(r), out.row(r) + size(h * dim));
  }
  return out;
}

}  // namespace

LayerData::LayerData(const store::DumpReader& dump, int layer, std::int64_t context,
                     const AttentionOptions& o, bool train, std::uint64_t seed)
    : info_(dump.info()), cache_(cache_shape(info_, context, o)) {
  const std::int64_t split = std::max<std::int64_t>(0, context - o.sparse.window);
  if (!o.synthetic) {
    read_prefix(dump, layer, context);
    read_tests(dump, layer, std::max(split, context - o.queries), context, o.queries, 0);
    if (train) read_training(dump, layer, split, o.sparse.train);
    return;
  }
  const stats::RotaryPairs pairs = dump_rotary(dump, layer);
  const stats::SyntheticContext made(
      token_rows(dump, &store::DumpReader::read_k, layer, info_.head_dim, 0, info_.n_tokens),
      size(info_.head_dim), pairs, context, Rng(seed, size(layer)).next());
  make_context(dump, layer, made);
  const std::int64_t last =
      std::min({std::int64_t{o.queries}, std::int64_t{o.sparse.window}, made.tail()});
  read_tests(dump, layer, info_.n_tokens - last, info_.n_tokens, o.queries,
             context - info_.n_tokens);
  if (train) make_training(dump, layer, o.sparse.train, split, pairs, made);
}

model::KvCache::Shape LayerData::cache_shape(const store::DumpInfo& info, std::int64_t context,
                                             const AttentionOptions& o) {
  return {.layers = 1,
          .kv_heads = static_cast<int>(info.n_kv_heads),
          .head_dim = static_cast<int>(info.head_dim),
          .value_dim = static_cast<int>(info.value_dim),
          .capacity = context,
          .type = o.synthetic || info.dtype == store::DType::kBf16 ? model::KvType::kBf16
                                                                   : model::KvType::kF32};
}

std::vector<MemoryNeed> LayerData::memory(const store::DumpInfo& info, std::int64_t context,
                                          const AttentionOptions& o) {
  const auto floats = [](std::int64_t n) { return size(n) * sizeof(float); };
  const std::int64_t real = o.synthetic ? info.n_tokens : 0;
  return {{"KV cache", model::KvCache::bytes(cache_shape(info, context, o))},
          {"the dump's keys and values",
           floats(2 * real * info.n_kv_heads * (info.head_dim + info.value_dim))},
          {"queries", floats(2 * (o.sparse.train + o.queries) * info.n_heads * info.head_dim +
                             info.n_tokens * info.head_dim)},
          {"exact scores", floats(2 * context * info.n_heads)}};
}

void LayerData::read_tests(const store::DumpReader& dump, int layer, std::int64_t from,
                           std::int64_t end, std::int64_t most, std::int64_t shift) {
  const auto test = pick_rows(info_, from, end, most);
  if (test.empty())
    fail_bad_data({.what = "no queries",
                   .file = dump.path(),
                   .where = "q_pos",
                   .why = fmt::format("no stored query in positions {}..{}", from, end - 1),
                   .hint = "dump with --queries last:N or all"});
  queries_ = Matrix<float>(test.size(), size(info_.n_heads * info_.head_dim));
  for (const std::int64_t row : test) positions_.push_back(info_.q_pos[size(row)] + shift);
  for (int h = 0; h < info_.n_heads; ++h)
    for (std::size_t i = 0; i < test.size(); ++i)
      std::ranges::copy(dump.read_q(layer, h, test[i], 1).row_span(0),
                        queries_.row(i) + size(h) * size(info_.head_dim));
}

void LayerData::read_prefix(const store::DumpReader& dump, int layer, std::int64_t context) {
  for (std::int64_t first = 0; first < context; first += kBlock) {
    const std::int64_t rows = std::min(kBlock, context - first);
    cache_.append(
        0, token_rows(dump, &store::DumpReader::read_k, layer, info_.head_dim, first, rows).view(),
        token_rows(dump, &store::DumpReader::read_v, layer, info_.value_dim, first, rows).view());
  }
}

void LayerData::make_context(const store::DumpReader& dump, int layer,
                             const stats::SyntheticContext& made) {
  const Matrix<float> values =
      token_rows(dump, &store::DumpReader::read_v, layer, info_.value_dim, 0, info_.n_tokens);
  for (std::int64_t first = 0; first < made.length(); first += kBlock) {
    const std::int64_t rows = std::min(kBlock, made.length() - first);
    Matrix<float> k(size(rows), size(info_.n_kv_heads * info_.head_dim));
    Matrix<float> v(size(rows), values.cols());
    made.keys(first, k.view());
    for (std::int64_t r = 0; r < rows; ++r)
      std::ranges::copy(values.row_span(size(made.source(first + r))), v.row(size(r)));
    cache_.append(0, k.view(), v.view());
  }
}

void LayerData::read_training(const store::DumpReader& dump, int layer, std::int64_t split,
                              std::int64_t most) {
  const auto rows = pick_rows(info_, 0, split, most);
  for (const std::int64_t row : rows) training_positions_.push_back(info_.q_pos[size(row)]);
  for (int h = 0; h < info_.n_heads && !rows.empty(); ++h) {
    const Matrix<float> all = dump.read_q(layer, h, rows.front(), rows.back() - rows.front() + 1);
    Matrix<float> chosen(rows.size(), all.cols());
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(all.row_span(size(rows[i] - rows.front())), chosen.row(i));
    training_.push_back(std::move(chosen));
  }
}

void LayerData::make_training(const store::DumpReader& dump, int layer, std::int64_t most,
                              std::int64_t split, const stats::RotaryPairs& pairs,
                              const stats::SyntheticContext& made) {
  // Queries to learn from end where the real keys that the measured ones see last begin.
  const auto stored =
      std::ranges::lower_bound(info_.q_pos, info_.n_tokens - made.tail()) - info_.q_pos.begin();
  if (stored == 0 || split == 0) return;
  std::vector<std::int64_t> rows;
  for (const std::int64_t pos : attention::train_positions(split, most)) {
    if (pos >= made.length() - made.tail()) break;
    const auto nearest =
        std::ranges::lower_bound(info_.q_pos, made.source(pos)) - info_.q_pos.begin();
    rows.push_back(std::min(nearest, stored - 1));
    training_positions_.push_back(pos);
  }
  for (int h = 0; h < info_.n_heads; ++h) {
    const Matrix<float> all = dump.read_q(layer, h, 0, stored);
    Matrix<float> turned(rows.size(), all.cols());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::ranges::copy(all.row_span(size(rows[i])), turned.row(i));
      stats::turn(pairs, made.phase(training_positions_[i]) - info_.q_pos[size(rows[i])],
                  turned.row_span(i), all.cols());
    }
    training_.push_back(std::move(turned));
  }
}

model::AttendInput LayerData::input(std::size_t i) const {
  return {.layer = 0,
          .pos = positions_[i],
          .q = {queries_.row(i), 1, queries_.cols()},
          .cache = &cache_,
          .scale = static_cast<float>(info_.scale)};
}

Matrix<float> LayerData::training(int head, std::int64_t begin, std::int64_t end) const {
  if (training_.empty()) return {};
  const Matrix<float>& rows = training_[size(head)];
  const auto [first, last] =
      attention::training_rows(training_positions_, begin, end, 2 * rows.cols());
  Matrix<float> copy(last - first, rows.cols());
  std::copy_n(rows.row(first), copy.rows() * copy.cols(), copy.data());
  return copy;
}

attention::PlacedQueries LayerData::budget_queries(int head) const {
  const std::vector<std::size_t> rows = attention::budget_rows(training_positions_);
  attention::PlacedQueries out{Matrix<float>(rows.size(), size(info_.head_dim)), {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(training_[size(head)].row_span(rows[i]), out.rows.row(i));
    out.positions.push_back(training_positions_[rows[i]]);
  }
  return out;
}

std::optional<double> LayerData::query_distance(std::int64_t begin, std::int64_t end) const {
  if (end - begin < 2) return {};
  constexpr std::int64_t kMost = 16384;
  const std::int64_t take = std::min(end - begin, kMost), group = info_.n_heads / info_.n_kv_heads;
  const std::size_t dim = size(info_.head_dim);
  double sum = 0;
  for (int kv_head = 0; kv_head < info_.n_kv_heads; ++kv_head) {
    const kernels::KvRows rows = cache_.rows(0, kv_head);
    Matrix<float> keys(size(take), dim);
    for (std::int64_t i = 0; i < take; ++i)
      model::widen_key(rows, size(begin + i * (end - begin) / take), keys.row_span(size(i)));
    const stats::KeyDistribution distribution(keys.view(), 1e-6);  // a constant component
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
      for (const double d2 : distribution.squared(
               {queries_.data() + size(head) * dim, queries_.rows(), dim, queries_.cols()}))
        sum += d2;
  }
  return sum / static_cast<double>(size(info_.n_heads) * count());
}

}  // namespace ra::bench_app
