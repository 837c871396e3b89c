// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

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
    ParamInfo{"lists", "int", "0", 0, 1e7, false, "cells; 0 = one for 8 keys"},
    ParamInfo{"tops", "int", "0", 0, 1e6, false, "cells over the cells; 0 = 2 sqrt(lists)"},
    ParamInfo{"segment", "int", "8192", 64, 1e9, false, "keys clustered by themselves"},
    ParamInfo{"iterations", "int", "6", 0, 1000, false, "of k-means"},
    ParamInfo{"recent", "float", "0.25", 0.001, 1, false,
              "share of the training queries that the metric is fitted to: the last ones"},
    ParamInfo{"open", "float", "8", 1, 1e6, false, "cell centres scored for each list probed"},
    ParamInfo{"reach", "float", "2", 0, 100, false,
              "standard deviations of a cell's scores added to that of its centre"},
    ParamInfo{"codes", "0|16|32", "0", 0, 0, false,
              "rank of the codes that keys of the probed lists are first scored by; 0 = none"},
    ParamInfo{"rerank", "int", "400", 1, 1e9, false, "with codes: keys then scored exactly"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"probes", "int", "128", 1, 1e9, true, "lists searched"},
};

struct QivfScratch final : SearchScratch {
  std::vector<float> top_scores, scores, exact;  // [group, tops]; of cells or keys; of keys
  std::vector<std::uint32_t> cells, rows, blocks;
  std::vector<std::int8_t> codes;
  CutScratch cut;
  // What this call has read for an earlier head of the group: the number of the call.
  std::vector<std::uint32_t> seen_cell, seen_list, seen_block;
  std::uint32_t call = 0;
};

class QivfIndex final : public VectorIndex {
 public:
  QivfIndex(const BuildInput& in, const ParamReader& params);

  std::unique_ptr<SearchScratch> make_scratch() const override;
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override {
    return keys_.bytes() + cells_.bytes() + codes_.bytes();
  }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  float score_spread(std::span<const float> top_scores) const;
  // The cells that one query reads, in s.cells.
  void rank_cells(const float* query, std::span<float> top_scores, std::size_t probes,
                  QivfScratch& s, SearchStats& stats) const;
  // Rows to score exactly, in s.rows: all of the cells, or the best of them by their codes.
  void gather_lists(QivfScratch& s, SearchStats& stats) const;
  void gather_by_code(const std::int8_t* code, std::size_t keep, QivfScratch& s,
                      SearchStats& stats) const;

  Cells cells_;
  KeyRows keys_;    // in list order
  KeyCodes codes_;  // the same; empty without codes
  std::size_t default_probes_, rerank_;
  float open_, reach_;
  BuildStats stats_;
};

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
  const std::size_t lists = given("lists", n / 8);
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
  if (const std::string rank = params.choice("codes"); rank != "0")
    codes_ = KeyCodes(low_rank_space(in.keys, in.train, static_cast<std::size_t>(std::stoi(rank))),
                      in.keys, cells_.order, 8);
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

std::unique_ptr<SearchScratch> QivfIndex::make_scratch() const {
  auto s = std::make_unique<QivfScratch>();
  s->scores.resize(std::max(cells_.cell.count(), codes_.blocks() * kernels::kCodeKeys));
  s->exact.resize(keys_.rows());
  s->cells.reserve(cells_.cell.count());
  s->rows.reserve(keys_.rows());
  s->seen_cell.resize(cells_.cell.count());
  s->seen_list.resize(cells_.cell.count());
  s->seen_block.resize(codes_.blocks());
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

void QivfIndex::rank_cells(const float* query, std::span<float> top_scores, std::size_t probes,
                           QivfScratch& s, SearchStats& stats) const {
  const std::size_t cells = cells_.cell.count(), tops = top_scores.size();
  const float unit = reach_ * score_spread(top_scores);
  for (std::size_t t = 0; t < tops; ++t) top_scores[t] += unit * cells_.top.spread[t];
  const double wanted = std::ceil(static_cast<double>(open_) * static_cast<double>(probes) *
                                  static_cast<double>(tops) / static_cast<double>(cells));
  const auto opened = static_cast<std::size_t>(std::min(static_cast<double>(tops), wanted));
  s.cells.clear();
  for (const std::uint32_t t : cut(top_scores, opened, s.cut))
    for (std::uint32_t c = cells_.top.begin[t]; c < cells_.top.begin[t + 1]; ++c)
      s.cells.push_back(c);
  kernels::ops().score({.q = query,
                        .q_stride = keys_.cols(),
                        .group = 1,
                        .dim = keys_.cols(),
                        .keys = cells_.cell.means.data(),
                        .type = kernels::KvType::kBf16,
                        .key_stride = keys_.cols(),
                        .ids = s.cells.data(),
                        .n = s.cells.size(),
                        .out = s.scores.data(),
                        .out_stride = s.cells.size()});
  stats.distances += static_cast<std::int64_t>(s.cells.size());
  for (std::size_t i = 0; i < s.cells.size(); ++i) {
    s.scores[i] += unit * cells_.cell.spread[s.cells[i]];
    if (std::exchange(s.seen_cell[s.cells[i]], s.call) != s.call)
      stats.bytes += static_cast<std::int64_t>(keys_.cols() * sizeof(bf16));
  }
  std::size_t kept = 0;
  for (const std::uint32_t i : cut({s.scores.data(), s.cells.size()}, probes, s.cut))
    s.cells[kept++] = s.cells[i];
  s.cells.resize(kept);
  stats.hops += static_cast<std::int64_t>(kept);
}

void QivfIndex::gather_lists(QivfScratch& s, SearchStats& stats) const {
  s.rows.clear();
  for (const std::uint32_t c : s.cells) {
    const std::uint32_t first = cells_.cell.begin[c], last = cells_.cell.begin[c + 1];
    for (std::uint32_t row = first; row < last; ++row) s.rows.push_back(row);
    if (std::exchange(s.seen_list[c], s.call) != s.call)
      stats.bytes += static_cast<std::int64_t>((last - first) * keys_.row_bytes());
  }
}

// Codes are read in whole blocks: the neighbours of a list's keys are candidates as well.
void QivfIndex::gather_by_code(const std::int8_t* code, std::size_t keep, QivfScratch& s,
                               SearchStats& stats) const {
  constexpr std::uint32_t kKeys = kernels::kCodeKeys;
  s.blocks.clear();
  for (const std::uint32_t c : s.cells) {
    std::uint32_t block = cells_.cell.begin[c] / kKeys;
    if (!s.blocks.empty()) block = std::max(block, s.blocks.back() + 1);
    for (; block * kKeys < cells_.cell.begin[c + 1]; ++block) s.blocks.push_back(block);
  }
  codes_.score(code, 1, s.blocks, s.scores.data(), s.blocks.size() * kKeys);
  std::size_t rows = s.blocks.size() * kKeys;
  if (!s.blocks.empty() && s.blocks.back() + 1 == codes_.blocks())
    rows -= codes_.blocks() * kKeys - keys_.rows();  // padding
  stats.distances += static_cast<std::int64_t>(rows);
  stats.coded += static_cast<std::int64_t>(rows);
  for (const std::uint32_t block : s.blocks)
    if (std::exchange(s.seen_block[block], s.call) != s.call)
      stats.bytes += static_cast<std::int64_t>(codes_.block_bytes());
  s.rows.clear();
  for (const std::uint32_t at : cut({s.scores.data(), rows}, keep, s.cut))
    s.rows.push_back(s.blocks[at / kKeys] * kKeys + at % kKeys);
  stats.bytes += static_cast<std::int64_t>(s.rows.size() * keys_.row_bytes());
}

SearchStats QivfIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<QivfScratch&>(scratch);
  const std::size_t tops = cells_.top.count(), k = static_cast<std::size_t>(p.k);
  const std::size_t probes = p.effort > 0 ? static_cast<std::size_t>(p.effort) : default_probes_;
  if (++s.call == 0) {  // numbers of calls start again
    for (auto* seen : {&s.seen_cell, &s.seen_list, &s.seen_block}) std::ranges::fill(*seen, 0u);
    s.call = 1;
  }
  s.top_scores.resize(std::max(s.top_scores.size(), queries.rows * tops));
  kernels::ops().score({.q = queries.data,
                        .q_stride = queries.stride,
                        .group = queries.rows,
                        .dim = keys_.cols(),
                        .keys = cells_.top.means.data(),
                        .type = kernels::KvType::kBf16,
                        .key_stride = keys_.cols(),
                        .n = tops,
                        .out = s.top_scores.data(),
                        .out_stride = tops});
  SearchStats stats{.distances = static_cast<std::int64_t>(queries.rows * tops),
                    .coded = 0,
                    .bytes = static_cast<std::int64_t>(cells_.top.means.bytes()),
                    .hops = 0};
  if (codes_.rows() > 0) codes_.encode(queries, s.codes);
  for (std::size_t r = 0; r < queries.rows; ++r) {
    rank_cells(queries.row(r), {&s.top_scores[r * tops], tops}, probes, s, stats);
    if (codes_.rows() > 0) {
      gather_by_code(&s.codes[r * codes_.rank()], std::max(rerank_, k), s, stats);
    } else {
      gather_lists(s, stats);
    }
    keys_.score_ids(queries.row(r), s.rows, s.exact.data());
    stats.distances += static_cast<std::int64_t>(s.rows.size());
    for (std::uint32_t& row : s.rows) row = cells_.order[row];
    best_hits({s.exact.data(), s.rows.size()}, s.rows, k, s.cut, hits[r]);
  }
  return stats;
}

}  // namespace

std::span<const ParamInfo> qivf_params() { return kParams; }

std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QivfIndex>(in, params);
}

}  // namespace ra::index
