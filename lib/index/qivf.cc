// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/cells.h"
#include "lib/index/key_codes.h"
#include "lib/index/key_store.h"
#include "lib/index/query_metric.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"lists", "int", "0", 0, 1e7, false,
              "cells; 0 = one for 8 keys, or with codes for 32"},
    ParamInfo{"tops", "int", "0", 0, 1e6, false, "cells over the cells; 0 = 2 sqrt(lists)"},
    ParamInfo{"segment", "int", "8192", 64, 1e9, false, "keys clustered by themselves"},
    ParamInfo{"iterations", "int", "6", 0, 1000, false, "of k-means"},
    ParamInfo{"recent", "float", "0.25", 0.001, 1, false,
              "share of the training queries that the metric is fitted to: the last ones"},
    ParamInfo{"open", "float", "6", 1, 1e6, false, "cell centres scored for each list probed"},
    ParamInfo{"reach", "float", "2", 0, 100, false,
              "standard deviations of a cell's scores added to that of its centre"},
    ParamInfo{
        "codes", "none|16|32|full", "full", 0, 0, false,
        "8-bit codes that cells and the keys of probed lists are scored by: none, of that rank, "
        "or of all coordinates"},
    ParamInfo{"rerank", "int", "200", 1, 1e9, false, "with codes: keys then scored exactly"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"probes", "int", "128", 1, 1e9, true, "lists searched"},
};

constexpr std::uint32_t kKeys = kernels::kCodeKeys;

// What a call has read for an earlier head of the group, by the number of the call.
class Seen {
 public:
  void resize(std::size_t n) { last_.resize(n); }
  void clear() { std::ranges::fill(last_, 0u); }
  bool first_time(std::uint32_t i, std::uint32_t call) {
    return std::exchange(last_[i], call) != call;
  }

 private:
  std::vector<std::uint32_t> last_;
};

struct QivfScratch final : SearchScratch {
  std::vector<float> top_scores;                   // [group, tops]
  std::vector<float> scores;                       // of open cells, or of rows by code, or exactly
  std::vector<std::uint32_t> cells, rows, blocks;  // to read next
  std::vector<std::int8_t> cell_codes, row_codes;
  std::vector<float> cell_units, row_units;
  CutScratch cut;
  Seen tops, lists, cell_blocks, row_blocks;
  std::uint32_t call = 0;
};

// Block numbers that cover members [first, last), after those already there.
void add_blocks(std::uint32_t first, std::uint32_t last, std::vector<std::uint32_t>& blocks) {
  std::uint32_t block = first / kKeys;
  if (!blocks.empty()) block = std::max(block, blocks.back() + 1);
  for (; block * kKeys < last; ++block) blocks.push_back(block);
}

// Approximate scores of all members of s.blocks, in s.scores: neighbours of what was asked for come
// for free. Returns their number; padding of the last block is not among them.
std::size_t score_blocks(const KeyCodes& codes, const std::int8_t* query, Seen& seen,
                         QivfScratch& s, SearchStats& stats) {
  std::size_t count = s.blocks.size() * kKeys;
  codes.score(query, 1, s.blocks, s.scores.data(), count);
  for (const std::uint32_t block : s.blocks)
    if (seen.first_time(block, s.call))
      stats.bytes += static_cast<std::int64_t>(codes.block_bytes());
  if (!s.blocks.empty() && s.blocks.back() + 1 == codes.blocks())
    count -= codes.blocks() * kKeys - codes.rows();
  stats.distances += static_cast<std::int64_t>(count);
  stats.coded += static_cast<std::int64_t>(count);
  return count;
}

// The members with the m best of the first `count` scores of s.blocks.
void best_members(std::size_t count, std::size_t m, QivfScratch& s,
                  std::vector<std::uint32_t>& out) {
  out.clear();
  for (const std::uint32_t at : cut({s.scores.data(), count}, m, s.cut))
    out.push_back(s.blocks[at / kKeys] * kKeys + at % kKeys);
}

// Scores of the means of cells `ids`, or of all.
void score_means(const CellLevel& level, const float* query, std::span<const std::uint32_t> ids,
                 float* out) {
  const std::size_t n = ids.empty() ? level.count() : ids.size();
  kernels::ops().score({.q = query,
                        .q_stride = level.means.cols(),
                        .group = 1,
                        .dim = level.means.cols(),
                        .keys = level.means.data(),
                        .type = kernels::KvType::kBf16,
                        .key_stride = level.means.cols(),
                        .ids = ids.empty() ? nullptr : ids.data(),
                        .n = n,
                        .out = out,
                        .out_stride = n});
}

class QivfIndex final : public VectorIndex {
 public:
  QivfIndex(const BuildInput& in, const ParamReader& params);

  std::unique_ptr<SearchScratch> make_scratch() const override;
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override {
    return keys_.bytes() + cells_.bytes() + cell_codes_.bytes() + row_codes_.bytes();
  }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  bool coded() const { return row_codes_.rows() > 0; }
  float score_spread(std::span<const float> top_scores) const;
  void probe(std::size_t r, const float* query, std::size_t probes, QivfScratch& s,
             SearchStats& stats) const;
  void pick_cells(const float* query, std::span<const std::uint32_t> tops, float unit,
                  std::size_t probes, QivfScratch& s, SearchStats& stats) const;
  void pick_cells_by_code(std::size_t r, std::span<const std::uint32_t> tops, float unit,
                          std::size_t probes, QivfScratch& s, SearchStats& stats) const;
  void gather(std::size_t r, std::size_t keep, QivfScratch& s, SearchStats& stats) const;

  Cells cells_;
  KeyRows keys_;                     // in list order
  KeyCodes cell_codes_, row_codes_;  // of the cells' means; of keys_
  std::size_t default_probes_, rerank_;
  float open_, reach_;
  BuildStats stats_;
};

CodeSpace code_space(const std::string& codes, MatView<const float> keys, const QueryMetric& metric,
                     MatView<const float> x) {
  if (codes == "full") return plain_space(keys);
  return low_rank_space(metric, x, static_cast<std::size_t>(std::stoi(codes)));
}

QivfIndex::QivfIndex(const BuildInput& in, const ParamReader& params)
    : default_probes_(static_cast<std::size_t>(params.integers("probes").front())),
      rerank_(static_cast<std::size_t>(params.integer("rerank"))),
      open_(static_cast<float>(params.number("open"))),
      reach_(static_cast<float>(params.number("reach"))) {
  BuildClock clock;
  const std::size_t n = in.keys.rows;
  const auto given = [&](std::string_view key, std::size_t automatic) {
    const auto value = static_cast<std::size_t>(params.integer(key));
    return std::min(n, value > 0 ? value : std::max<std::size_t>(1, automatic));
  };
  const std::size_t lists = given("lists", n / (params.choice("codes") == "none" ? 8 : 32));
  const std::size_t tops =
      given("tops", static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(lists))));
  const QueryMetric metric =
      fit_query_metric(in.keys, in.train, kEigenvalueFloor, params.number("recent"));
  const Matrix<float> x = transform_keys(metric, in.keys);
  cells_ = build_cells(in.keys, x.view(),
                       {.cells = lists,
                        .tops = tops,
                        .segment = static_cast<std::size_t>(params.integer("segment")),
                        .iterations = static_cast<int>(params.integer("iterations")),
                        .seed = in.seed},
                       clock, stats_.distances);
  keys_ = KeyRows(in.keys, cells_.order);
  if (const std::string codes = params.choice("codes"); codes != "none") {
    const CodeSpace space = code_space(codes, in.keys, metric, x.view());
    Matrix<float> means(cells_.cell.count(), in.keys.cols);
    std::transform(cells_.cell.means.data(), cells_.cell.means.data() + means.rows() * means.cols(),
                   means.data(), [](bf16 v) { return to_float(v); });
    cell_codes_ = KeyCodes(space, means.view(), {}, 8);
    row_codes_ = KeyCodes(space, in.keys, cells_.order, 8);
  }
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

std::unique_ptr<SearchScratch> QivfIndex::make_scratch() const {
  auto s = std::make_unique<QivfScratch>();
  s->scores.resize(std::max(keys_.rows(), cells_.cell.count()) + kKeys);  // and padding
  s->tops.resize(cells_.top.count());
  s->lists.resize(cells_.cell.count());
  s->cell_blocks.resize(cell_codes_.blocks());
  s->row_blocks.resize(row_codes_.blocks());
  return s;
}

// Standard deviation of a query's scores between the top cells.
float QivfIndex::score_spread(std::span<const float> top_scores) const {
  double sum = 0, square = 0, n = 0;
  for (std::size_t t = 0; t < top_scores.size(); ++t) {
    const double weight = cells_.top.begin[t + 1] - cells_.top.begin[t];
    const double score = static_cast<double>(top_scores[t]);
    n += weight;
    sum += weight * score;
    square += weight * score * score;
  }
  const double mean = sum / n;
  return static_cast<float>(std::sqrt(std::max(0.0, square / n - mean * mean)));
}

// The most promising cells of the open tops, in s.cells.
void QivfIndex::pick_cells(const float* query, std::span<const std::uint32_t> tops, float unit,
                           std::size_t probes, QivfScratch& s, SearchStats& stats) const {
  s.cells.clear();
  for (const std::uint32_t t : tops) {
    const std::uint32_t first = cells_.top.begin[t], last = cells_.top.begin[t + 1];
    for (std::uint32_t c = first; c < last; ++c) s.cells.push_back(c);
    if (s.tops.first_time(t, s.call))
      stats.bytes += static_cast<std::int64_t>((last - first) * keys_.cols() * sizeof(bf16));
  }
  const std::size_t count = s.cells.size();
  score_means(cells_.cell, query, s.cells, s.scores.data());
  for (std::size_t i = 0; i < count; ++i) s.scores[i] += unit * cells_.cell.spread[s.cells[i]];
  std::size_t kept = 0;
  for (const std::uint32_t at : cut({s.scores.data(), count}, probes, s.cut))
    s.cells[kept++] = s.cells[at];
  s.cells.resize(kept);
  stats.distances += static_cast<std::int64_t>(count);
}

void QivfIndex::pick_cells_by_code(std::size_t r, std::span<const std::uint32_t> tops, float unit,
                                   std::size_t probes, QivfScratch& s, SearchStats& stats) const {
  s.blocks.clear();
  for (const std::uint32_t t : tops)
    add_blocks(cells_.top.begin[t], cells_.top.begin[t + 1], s.blocks);
  const std::size_t count =
      score_blocks(cell_codes_, &s.cell_codes[r * cell_codes_.rank()], s.cell_blocks, s, stats);
  const float scale = s.cell_units[r];
  for (std::size_t i = 0; i < count; i += kKeys) {
    const float* spread = &cells_.cell.spread[s.blocks[i / kKeys] * kKeys];
    float* score = &s.scores[i];
    for (std::size_t j = 0; j < std::min<std::size_t>(kKeys, count - i); ++j)
      score[j] = scale * score[j] + unit * spread[j];
  }
  best_members(count, probes, s, s.cells);
}

// The cells that query r reads, in s.cells.
void QivfIndex::probe(std::size_t r, const float* query, std::size_t probes, QivfScratch& s,
                      SearchStats& stats) const {
  const std::size_t tops = cells_.top.count();
  const std::span<float> top_scores{&s.top_scores[r * tops], tops};
  const float unit = reach_ * score_spread(top_scores);
  for (std::size_t t = 0; t < tops; ++t) top_scores[t] += unit * cells_.top.spread[t];
  const double wanted =
      std::ceil(static_cast<double>(open_) * static_cast<double>(probes) *
                static_cast<double>(tops) / static_cast<double>(cells_.cell.count()));
  const auto opened = static_cast<std::size_t>(std::min(static_cast<double>(tops), wanted));
  const auto open = cut(top_scores, opened, s.cut);
  if (coded()) {
    pick_cells_by_code(r, open, unit, probes, s, stats);
  } else {
    pick_cells(query, open, unit, probes, s, stats);
  }
  stats.hops += static_cast<std::int64_t>(s.cells.size());
}

// Rows to score exactly, in s.rows: all of the probed cells, or the best of them by their codes.
void QivfIndex::gather(std::size_t r, std::size_t keep, QivfScratch& s, SearchStats& stats) const {
  const auto& begin = cells_.cell.begin;
  if (coded()) {
    s.blocks.clear();
    for (const std::uint32_t c : s.cells) add_blocks(begin[c], begin[c + 1], s.blocks);
    const std::size_t count =
        score_blocks(row_codes_, &s.row_codes[r * row_codes_.rank()], s.row_blocks, s, stats);
    best_members(count, keep, s, s.rows);
    stats.bytes += static_cast<std::int64_t>(s.rows.size() * keys_.row_bytes());
    return;
  }
  s.rows.clear();
  for (const std::uint32_t c : s.cells) {
    for (std::uint32_t row = begin[c]; row < begin[c + 1]; ++row) s.rows.push_back(row);
    if (s.lists.first_time(c, s.call))
      stats.bytes += static_cast<std::int64_t>((begin[c + 1] - begin[c]) * keys_.row_bytes());
  }
}

SearchStats QivfIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<QivfScratch&>(scratch);
  const std::size_t tops = cells_.top.count(), k = static_cast<std::size_t>(p.k);
  const std::size_t probes = p.effort > 0 ? static_cast<std::size_t>(p.effort) : default_probes_;
  if (++s.call == 0) {  // numbers of calls start again
    for (Seen* seen : {&s.tops, &s.lists, &s.cell_blocks, &s.row_blocks}) seen->clear();
    s.call = 1;
  }
  s.top_scores.resize(std::max(s.top_scores.size(), queries.rows * tops));
  for (std::size_t r = 0; r < queries.rows; ++r)
    score_means(cells_.top, queries.row(r), {}, &s.top_scores[r * tops]);
  SearchStats stats{.distances = static_cast<std::int64_t>(queries.rows * tops),
                    .coded = 0,
                    .bytes = static_cast<std::int64_t>(cells_.top.means.bytes()),
                    .hops = 0};
  if (coded()) {
    cell_codes_.encode(queries, s.cell_codes, s.cell_units);
    row_codes_.encode(queries, s.row_codes, s.row_units);
  }
  for (std::size_t r = 0; r < queries.rows; ++r) {
    probe(r, queries.row(r), probes, s, stats);
    gather(r, std::max(rerank_, k), s, stats);
    keys_.score_ids(queries.row(r), s.rows, s.scores.data());
    stats.distances += static_cast<std::int64_t>(s.rows.size());
    for (std::uint32_t& row : s.rows) row = cells_.order[row];
    best_hits({s.scores.data(), s.rows.size()}, s.rows, k, s.cut, hits[r]);
  }
  return stats;
}

}  // namespace

std::span<const ParamInfo> qivf_params() { return kParams; }

std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QivfIndex>(in, params);
}

}  // namespace ra::index
