// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/cell_segment.h"
#include "lib/index/key_store.h"
#include "lib/index/query_metric.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"segment", "int", "8192", 64, kMostSegmentKeys, false,
              "keys learnt together, by the training queries of their positions"},
    ParamInfo{"lists", "int", "0", 0, kMostSegmentKeys, false,
              "cells of a whole segment; 0 = one for 32 keys, or without codes for 8"},
    ParamInfo{"tops", "int", "0", 0, kMostSegmentKeys, false,
              "cells over the cells of a whole segment; 0 = 2 sqrt(lists)"},
    ParamInfo{"iterations", "int", "6", 0, 1000, false, "of k-means"},
    ParamInfo{"open", "float", "6", 1, 1e6, false, "cell centres scored for each list probed"},
    ParamInfo{"reach", "float", "2", 0, 100, false,
              "standard deviations of a cell's scores added to that of its centre"},
    ParamInfo{"codes", "none|4|8", "4", 0, 0, false,
              "bits of a coordinate of the keys that rank those of probed lists"},
    ParamInfo{"rerank", "int", "300", 1, 1e9, false, "with codes: keys then scored exactly"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"probes", "int", "128", 1, 1e9, true, "lists searched"},
};

constexpr std::uint32_t kKeys = kernels::kCodeKeys;

// What a call has read for an earlier head of the group, by the number of the call.
class Seen {
 public:
  void fit(std::size_t n) { last_.resize(std::max(last_.size(), n)); }
  void clear() { std::ranges::fill(last_, 0u); }
  bool first_time(std::size_t i, std::uint32_t call) {
    return std::exchange(last_[i], call) != call;
  }

 private:
  std::vector<std::uint32_t> last_;
};

// A segment's share of the blocks to be scored.
struct Part {
  std::size_t segment = 0, first = 0;  // its first block's place in QivfScratch::blocks
  float unit = 0;                      // what a score by code of 1 stands for
};

struct ProbedCell {
  std::size_t segment = 0;
  std::uint32_t cell = 0;
  float score = 0;               // of its mean
  std::size_t at = 0, part = 0;  // of its first row among the block scores, and of its blocks
};

struct QivfScratch final : SearchScratch {
  std::vector<float> top_scores;      // of all segments
  std::vector<float> unit;            // of a segment: score units of a spread of 1
  std::vector<Part> parts;            // of `blocks`
  std::vector<std::uint32_t> blocks;  // to be scored, of the segments in order
  std::vector<float> scores, means;   // of the members of `blocks`; means: of cells
  std::vector<ProbedCell> cells;
  std::vector<float> row_scores;     // of all rows of `cells`
  std::vector<std::uint32_t> found;  // ids of keys to be scored exactly
  std::vector<float> exact;          // of `found`
  std::vector<std::int8_t> query;
  CutScratch cut;
  Seen cell_blocks, key_blocks, lists;
  std::uint32_t call = 0;
};

// Adds the blocks that hold members [first, last) of the last part, where they are not there yet.
// Returns the place of member `first` among the scores of all blocks.
std::size_t add_blocks(std::uint32_t first, std::uint32_t last, QivfScratch& s) {
  auto& blocks = s.blocks;
  std::uint32_t block = first / kKeys;
  const bool there = blocks.size() > s.parts.back().first && blocks.back() == block;
  const std::size_t at = (blocks.size() - (there ? 1 : 0)) * kKeys + first % kKeys;
  for (block += there ? 1 : 0; block * kKeys < last; ++block) blocks.push_back(block);
  return at;
}

// What the segments before a segment hold.
struct Before {
  std::size_t tops = 0, cells = 0, cell_blocks = 0, key_blocks = 0;
};

class QivfIndex final : public VectorIndex {
 public:
  QivfIndex(const BuildInput& in, const ParamReader& params);
  QivfIndex(const BuildInput& in, const ParamReader& params, const IndexState& state);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<QivfScratch>();
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override;
  const BuildStats& build_stats() const override { return stats_; }
  void append(const BuildInput& more) override;
  void shrink(std::size_t n) override;
  void save(IndexState& state) const override;

 private:
  QivfIndex(const ParamReader& params, const BuildInput& in, KeyRows keys);
  void learn(MatView<const float> keys, std::span<const QuerySet> train, BuildClock& clock);
  void add(CellSegment segment);
  void count(const BuildClock& clock);

  void probe(const float* query, std::size_t probes, QivfScratch& s, SearchStats& stats) const;
  void pick_cells(const float* query, std::span<const std::uint32_t> tops, std::size_t probes,
                  QivfScratch& s, SearchStats& stats) const;
  void gather(const float* query, std::size_t keep, QivfScratch& s, SearchStats& stats) const;
  void score_parts(const float* query, const KeyCodes& (CellSegment::*codes)() const,
                   std::size_t Before::*number, Seen& seen, QivfScratch& s,
                   SearchStats& stats) const;

  std::size_t segment_, rerank_, default_probes_;
  double lists_ = 1, tops_ = 1;  // of a whole segment
  int iterations_, key_bits_ = 0;
  float open_, reach_;
  std::uint64_t seed_;
  KeyRows keys_;  // by id
  std::vector<CellSegment> segments_;
  std::vector<Before> before_;  // [segments + 1]
  QueryMetric metric_;          // mean and a: of the last segment
  BuildStats stats_;
};

QivfIndex::QivfIndex(const ParamReader& params, const BuildInput& in, KeyRows keys)
    : segment_(qivf_segment(params)),
      rerank_(static_cast<std::size_t>(params.integer("rerank"))),
      default_probes_(static_cast<std::size_t>(params.integers("probes").front())),
      iterations_(static_cast<int>(params.integer("iterations"))),
      open_(static_cast<float>(params.number("open"))),
      reach_(static_cast<float>(params.number("reach"))),
      seed_(in.seed),
      keys_(std::move(keys)),
      before_(1) {
  const std::string codes = params.choice("codes");
  key_bits_ = codes == "none" ? 0 : std::stoi(codes);
  const auto given = [&](std::string_view key, double automatic) {
    const auto value = static_cast<double>(params.integer(key));
    return value > 0 ? value : automatic;
  };
  const auto whole = static_cast<double>(segment_);
  lists_ = given("lists", whole / (key_bits_ == 0 ? 8 : 32));
  tops_ = given("tops", 2 * std::sqrt(lists_));
}

QivfIndex::QivfIndex(const BuildInput& in, const ParamReader& params)
    : QivfIndex(params, in, KeyRows(in.keys, in.stored)) {
  BuildClock clock;
  const std::size_t n = in.keys.rows, dim = in.keys.cols;
  for (std::size_t first = 0; first < n; first += segment_) {
    const std::size_t count = std::min(segment_, n - first);
    std::vector<QuerySet> train = in.train;
    for (QuerySet& set : train) {
      // The rows of these positions, and others, earlier if possible, where they are too few for a
      // metric.
      const std::size_t m = set.rows.rows,
                        last = std::max(m * (first + count) / n, std::min(m, 2 * dim));
      const std::size_t from = std::min(m * first / n, last - std::min(last, 2 * dim));
      set.rows = set.rows.row_range(from, last - from);
    }
    learn(in.keys.row_range(first, count), train, clock);
  }
  count(clock);
}

void QivfIndex::append(const BuildInput& more) {
  BuildClock clock;
  RA_CHECK(more.keys.rows <= segment_);
  keys_.append(more.keys);
  learn(more.keys, more.train, clock);
  count(clock);
}

void QivfIndex::shrink(std::size_t n) {
  while (!segments_.empty() && segments_.back().first_key() >= n) {
    segments_.pop_back();
    before_.pop_back();
  }
  RA_CHECK(!segments_.empty() && segments_.back().first_key() + segments_.back().keys() == n);
  keys_.truncate(n);
}

void QivfIndex::learn(MatView<const float> keys, std::span<const QuerySet> train,
                      BuildClock& clock) {
  clock.lap_ms();
  const bool taught = std::ranges::any_of(
      train, [](const QuerySet& set) { return set.rows.rows > 0 || set.moment.rows > 0; });
  if (taught) {
    metric_ = fit_query_metric(keys, train);
    metric_.a_inverse = {};
  } else {
    RA_CHECK(metric_.a.rows() == keys.cols);
    metric_.mean = plain_space(keys).mean;
  }
  const Matrix<float> x = transform_keys(metric_, keys);
  stats_.metric_ms += clock.lap_ms();
  const double part = static_cast<double>(keys.rows) / static_cast<double>(segment_);
  const auto share = [&](double whole) {
    return std::clamp<std::size_t>(static_cast<std::size_t>(whole * part), 1, keys.rows);
  };
  const std::size_t lists = share(lists_);
  // Tops go with the root of the lists.
  const std::size_t tops =
      std::clamp<std::size_t>(static_cast<std::size_t>(tops_ * std::sqrt(part)), 1, lists);
  const Cells cells = build_cells(x.view(),
                                  {.cells = lists,
                                   .tops = tops,
                                   .iterations = iterations_,
                                   .seed = seed_,
                                   .stream = segments_.size()},
                                  clock, stats_.distances);
  stats_.cluster_ms += clock.lap_ms();
  const std::size_t first =
      segments_.empty() ? 0 : segments_.back().first_key() + segments_.back().keys();
  add(CellSegment(keys, cells, static_cast<std::uint32_t>(first), key_bits_));
  stats_.pack_ms += clock.lap_ms();
}

void QivfIndex::add(CellSegment segment) {
  Before next = before_.back();
  next.tops += segment.top().count();
  next.cells += segment.cell().count();
  next.cell_blocks += segment.cell_codes().blocks();
  next.key_blocks += segment.key_codes().blocks();
  before_.push_back(next);
  segments_.push_back(std::move(segment));
}

void QivfIndex::count(const BuildClock& clock) {
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  stats_.build_ms += clock.wall_ms();
  stats_.cpu_s += clock.cpu_s();
}

std::size_t QivfIndex::memory_bytes() const {
  std::size_t sum = keys_.bytes() + metric_.a.bytes();
  for (const CellSegment& segment : segments_) sum += segment.bytes();
  return sum;
}

// Scores of the members of s.blocks by the codes of their segments, in s.scores and the units of
// their parts; blocks are numbered over all segments for `seen`.
void QivfIndex::score_parts(const float* query, const KeyCodes& (CellSegment::*codes)() const,
                            std::size_t Before::*number, Seen& seen, QivfScratch& s,
                            SearchStats& stats) const {
  const std::size_t total = s.blocks.size();
  if (s.scores.size() < total * kKeys) s.scores.resize(total * kKeys);
  s.query.resize(std::max(s.query.size(), metric_.a.rows() + kKeys));
  std::size_t scored = total * kKeys;
  for (std::size_t p = 0; p < s.parts.size(); ++p) {
    const std::size_t segment = s.parts[p].segment, first = s.parts[p].first;
    const std::size_t last = p + 1 < s.parts.size() ? s.parts[p + 1].first : total;
    const KeyCodes& of = (segments_[segment].*codes)();
    s.parts[p].unit = of.encode(query, s.query.data());
    of.score(s.query.data(), 1, std::span(s.blocks).subspan(first, last - first),
             &s.scores[first * kKeys], (last - first) * kKeys);
    for (std::size_t i = first; i < last; ++i)
      if (seen.first_time(before_[segment].*number + s.blocks[i], s.call))
        stats.bytes += static_cast<std::int64_t>(of.block_bytes());
    if (last > first && s.blocks[last - 1] + 1 == of.blocks())
      scored -= of.blocks() * kKeys - of.rows();  // padding
  }
  stats.distances += static_cast<std::int64_t>(scored);
  stats.coded += static_cast<std::int64_t>(scored);
}

// Standard deviation of a query's scores between the top cells.
float score_spread(const CellLevel& top, const float* scores) {
  double sum = 0, square = 0, n = 0;
  for (std::size_t t = 0; t < top.count(); ++t) {
    const double weight = top.begin[t + 1] - top.begin[t];
    const double score = static_cast<double>(scores[t]);
    n += weight;
    sum += weight * score;
    square += weight * score * score;
  }
  const double mean = sum / n;
  return static_cast<float>(std::sqrt(std::max(0.0, square / n - mean * mean)));
}

// The cells that a query reads, in s.cells.
void QivfIndex::probe(const float* query, std::size_t probes, QivfScratch& s,
                      SearchStats& stats) const {
  const Before& all = before_.back();
  s.top_scores.resize(std::max(s.top_scores.size(), all.tops));
  s.unit.resize(std::max(s.unit.size(), segments_.size()));
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const CellSegment& segment = segments_[i];
    float* scores = &s.top_scores[before_[i].tops];
    segment.score_tops(query, scores);
    s.unit[i] = reach_ * score_spread(segment.top(), scores);
    for (std::size_t t = 0; t < segment.top().count(); ++t)
      scores[t] += s.unit[i] * segment.top().spread[t];
  }
  stats.distances += static_cast<std::int64_t>(all.tops);
  const double wanted = std::ceil(static_cast<double>(open_) * static_cast<double>(probes) *
                                  static_cast<double>(all.tops) / static_cast<double>(all.cells));
  const auto opened = static_cast<std::size_t>(std::min(static_cast<double>(all.tops), wanted));
  pick_cells(query, cut({s.top_scores.data(), all.tops}, opened, s.cut), probes, s, stats);
  stats.hops += static_cast<std::int64_t>(s.cells.size());
}

// The most promising cells of the open tops, and of their neighbours in the same blocks.
void QivfIndex::pick_cells(const float* query, std::span<const std::uint32_t> tops,
                           std::size_t probes, QivfScratch& s, SearchStats& stats) const {
  s.parts.clear();
  s.blocks.clear();
  std::size_t segment = 0;
  for (const std::uint32_t t : tops) {
    while (before_[segment + 1].tops <= t) ++segment;
    if (s.parts.empty() || s.parts.back().segment != segment)
      s.parts.push_back({segment, s.blocks.size(), 0});
    const auto& begin = segments_[segment].top().begin;
    const std::size_t own = t - before_[segment].tops;
    add_blocks(begin[own], begin[own + 1], s);
  }
  score_parts(query, &CellSegment::cell_codes, &Before::cell_blocks, s.cell_blocks, s, stats);
  const std::size_t total = s.blocks.size();
  s.means.resize(std::max(s.means.size(), total * kKeys));
  for (std::size_t p = 0; p < s.parts.size(); ++p) {
    const auto [part, first, unit] = s.parts[p];
    const std::size_t last = p + 1 < s.parts.size() ? s.parts[p + 1].first : total;
    const CellLevel& cell = segments_[part].cell();
    const float centre = segments_[part].centre(query);
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t from = s.blocks[i] * kKeys,
                        n = std::min<std::size_t>(kKeys, cell.count() - from);
      for (std::size_t j = 0; j < n; ++j) {
        s.means[i * kKeys + j] = centre + unit * s.scores[i * kKeys + j];
        s.scores[i * kKeys + j] = s.means[i * kKeys + j] + s.unit[part] * cell.spread[from + j];
      }
      std::fill_n(s.scores.data() + i * kKeys + n, kKeys - n,
                  -std::numeric_limits<float>::infinity());
    }
  }
  s.cells.clear();
  std::size_t p = 0;
  for (const std::uint32_t at : cut({s.scores.data(), total * kKeys}, probes, s.cut)) {
    const std::size_t block = at / kKeys;
    while (p + 1 < s.parts.size() && s.parts[p + 1].first <= block) ++p;
    const std::uint32_t cell = s.blocks[block] * kKeys + at % kKeys;
    if (cell < segments_[s.parts[p].segment].cell().count())
      s.cells.push_back({s.parts[p].segment, cell, s.means[at], 0, 0});
  }
}

// Keys to score exactly, in s.found: all of the probed cells, or the best of them by their codes.
void QivfIndex::gather(const float* query, std::size_t keep, QivfScratch& s,
                       SearchStats& stats) const {
  s.found.clear();
  if (key_bits_ == 0) {
    for (const ProbedCell& c : s.cells) {
      const CellSegment& segment = segments_[c.segment];
      const auto& begin = segment.cell().begin;
      for (std::uint32_t row = begin[c.cell]; row < begin[c.cell + 1]; ++row)
        s.found.push_back(segment.key_of(row));
      if (s.lists.first_time(before_[c.segment].cells + c.cell, s.call))
        stats.bytes +=
            static_cast<std::int64_t>((begin[c.cell + 1] - begin[c.cell]) * keys_.row_bytes());
    }
    return;
  }
  s.parts.clear();
  s.blocks.clear();
  for (ProbedCell& c : s.cells) {
    if (s.parts.empty() || s.parts.back().segment != c.segment)
      s.parts.push_back({c.segment, s.blocks.size(), 0});
    const auto& begin = segments_[c.segment].cell().begin;
    c.at = add_blocks(begin[c.cell], begin[c.cell + 1], s);
    c.part = s.parts.size() - 1;
  }
  score_parts(query, &CellSegment::key_codes, &Before::key_blocks, s.key_blocks, s, stats);
  s.row_scores.resize(std::max(s.row_scores.size(), s.blocks.size() * kKeys));
  std::size_t count = 0;
  for (const ProbedCell& c : s.cells) {
    const std::size_t n = segments_[c.segment].cell().size(c.cell);
    const float unit = s.parts[c.part].unit, *from = &s.scores[c.at];
    float* to = &s.row_scores[count];
    for (std::size_t i = 0; i < n; ++i) to[i] = c.score + unit * from[i];
    count += n;
  }
  auto c = s.cells.begin();
  std::size_t first = 0;  // of the rows of *c
  for (const std::uint32_t at : cut({s.row_scores.data(), count}, keep, s.cut)) {
    for (std::size_t n; at >= first + (n = segments_[c->segment].cell().size(c->cell)); ++c)
      first += n;
    const CellSegment& segment = segments_[c->segment];
    s.found.push_back(
        segment.key_of(segment.cell().begin[c->cell] + static_cast<std::uint32_t>(at - first)));
  }
  stats.bytes += static_cast<std::int64_t>(s.found.size() * keys_.row_bytes());
}

SearchStats QivfIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<QivfScratch&>(scratch);
  const std::size_t k = static_cast<std::size_t>(p.k);
  const std::size_t probes = p.effort > 0 ? static_cast<std::size_t>(p.effort) : default_probes_;
  const Before& all = before_.back();
  s.cell_blocks.fit(all.cell_blocks);
  s.key_blocks.fit(all.key_blocks);
  s.lists.fit(all.cells);
  if (++s.call == 0) {  // numbers of calls start again
    for (Seen* seen : {&s.cell_blocks, &s.key_blocks, &s.lists}) seen->clear();
    s.call = 1;
  }
  SearchStats stats;
  for (const CellSegment& segment : segments_)
    stats.bytes += static_cast<std::int64_t>(segment.top_bytes());
  for (std::size_t r = 0; r < queries.rows; ++r) {
    const float* query = queries.row(r);
    probe(query, probes, s, stats);
    gather(query, std::max(rerank_, k), s, stats);
    s.exact.resize(std::max(s.exact.size(), s.found.size()));
    keys_.score_ids(query, s.found, s.exact.data());
    stats.distances += static_cast<std::int64_t>(s.found.size());
    best_hits({s.exact.data(), s.found.size()}, s.found, k, s.cut, hits[r]);
  }
  return stats;
}

void QivfIndex::save(IndexState& state) const {
  std::vector<float> cell_spread, top_spread;
  const auto add_level = [&](const CellLevel& level, const char* name, std::vector<float>& spread) {
    for (std::size_t i = 0; i < level.count(); ++i)
      state.arrays[name].push_back(level.begin[i + 1] - level.begin[i]);
    spread.insert(spread.end(), level.spread.begin(), level.spread.end());
  };
  for (const CellSegment& segment : segments_) {
    const Cells cells = segment.cells();
    state.arrays["segments"].push_back(static_cast<std::uint32_t>(cells.order.size()));
    auto& order = state.arrays["order"];
    order.insert(order.end(), cells.order.begin(), cells.order.end());
    add_level(cells.cell, "cell_sizes", cell_spread);
    add_level(cells.top, "top_sizes", top_spread);
  }
  state.put_floats("cell_spread", cell_spread);
  state.put_floats("top_spread", top_spread);
  state.put_floats("metric", {metric_.a.data(), metric_.a.rows() * metric_.a.cols()});
}

// Takes the levels of one segment after the other from the arrays of a state.
class LevelReader {
 public:
  LevelReader(const IndexState& state, std::string_view sizes, std::string_view spread)
      : name_(sizes), sizes_(state.array(sizes)), spread_(state.floats(spread, sizes_.size())) {}

  // The next cells, of `members` in all.
  CellLevel take(std::size_t members) {
    CellLevel level{{0}, {}};
    while (level.begin.back() < members) {
      if (next_ == sizes_.size() || sizes_[next_] == 0 ||
          sizes_[next_] > members - level.begin.back())
        refuse_state(name_, fmt::format("cells end at {} of {}", level.begin.back(), members));
      level.begin.push_back(level.begin.back() + sizes_[next_]);
      level.spread.push_back(spread_[next_++]);
    }
    return level;
  }
  void end() const {
    if (next_ != sizes_.size())
      refuse_state(name_, fmt::format("{} cells too many", sizes_.size() - next_));
  }

 private:
  std::string_view name_;
  const std::vector<std::uint32_t>& sizes_;
  std::vector<float> spread_;
  std::size_t next_ = 0;
};

QivfIndex::QivfIndex(const BuildInput& in, const ParamReader& params, const IndexState& state)
    : QivfIndex(params, in, KeyRows(in.keys, in.stored)) {
  const std::size_t n = in.keys.rows, dim = in.keys.cols;
  const auto metric = state.floats("metric", dim * dim);
  metric_.a = Matrix<float>(dim, dim);
  std::copy(metric.begin(), metric.end(), metric_.a.data());
  const auto& order = state.array("order", n);
  LevelReader cells(state, "cell_sizes", "cell_spread"), tops(state, "top_sizes", "top_spread");
  std::size_t first = 0;
  for (const std::size_t keys : state.ids("segments", kMostSegmentKeys + 1)) {
    if (keys == 0 || keys > n - first) break;
    Cells of{{order.begin() + static_cast<std::ptrdiff_t>(first),
              order.begin() + static_cast<std::ptrdiff_t>(first + keys)},
             {},
             {}};
    std::vector<bool> there(keys);
    for (std::size_t i = 0; i < keys; ++i) {
      if (of.order[i] >= keys || there[of.order[i]])
        refuse_state("order", fmt::format("element {} is {}: not each of the {} keys of its "
                                          "segment once",
                                          first + i, of.order[i], keys));
      there[of.order[i]] = true;
    }
    of.cell = cells.take(keys);
    of.top = tops.take(of.cell.count());
    add(CellSegment(in.keys.row_range(first, keys), of, static_cast<std::uint32_t>(first),
                    key_bits_));
    first += keys;
  }
  if (first != n) refuse_state("segments", fmt::format("they hold {} of {} keys", first, n));
  cells.end();
  tops.end();
  stats_ = state.stats;
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
}

}  // namespace

std::span<const ParamInfo> qivf_params() { return kParams; }

std::size_t qivf_segment(const ParamReader& params) {
  return static_cast<std::size_t>(params.integer("segment"));
}

std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QivfIndex>(in, params);
}

std::unique_ptr<VectorIndex> restore_qivf(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state) {
  return std::make_unique<QivfIndex>(in, params, state);
}

}  // namespace ra::index
