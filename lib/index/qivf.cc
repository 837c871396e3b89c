// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/key_store.h"
#include "lib/index/query_metric.h"
#include "lib/index/segment_list.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"segment", "int", "8192", 64, kMostSegmentKeys, false,
              "keys learnt together, by the training queries of their positions; beyond four times "
              "as many, four times as many together, beyond sixteen times, eight"},
    ParamInfo{"lists", "int", "0", 0, kMostSegmentKeys, false,
              "cells of a whole segment; 0 = one for 32 keys, or without codes for 8"},
    ParamInfo{"tops", "int", "0", 0, kMostSegmentKeys, false,
              "cells over the cells of a whole segment; 0 = 2 sqrt(lists)"},
    ParamInfo{"iterations", "int", "6", 0, 1000, false, "of k-means"},
    ParamInfo{"open", "float", "6", 1, 1e6, false, "cell centres scored for each list probed"},
    ParamInfo{"reach", "float", "1", 0, 100, false,
              "standard deviations of a cell's scores added to that of its centre"},
    ParamInfo{"codes", "none|4|8", "4", 0, 0, false,
              "bits of a coordinate of the keys that rank those of probed lists"},
    ParamInfo{
        "rerank", "int", "200", 1, 1e9, false,
        "with codes: keys of each query then scored exactly; where a group attends to all that "
        "are found a quarter, at least k"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"metric", "query|raw", "query", 0, 0, false,
              "what cells are clustered by; raw: the keys themselves, as an ordinary IVF does"},
    ParamInfo{"probes", "int", "0", 0, 1e9, true,
              "lists each query picks; those of a group are searched by all of it. 0 = 2 "
              "sqrt(lists), at most 128"},
};

// Lists probed by default. From 4,096 lists on (131,072 keys with codes) no more: what they add
// then costs more time than it holds attention (experiments/07-to-2m-tokens).
std::size_t usual_probes(std::size_t lists) {
  constexpr double kMost = 128;
  return static_cast<std::size_t>(std::min(kMost, 2 * std::sqrt(static_cast<double>(lists))));
}

std::size_t piece(std::size_t segment, std::size_t first) {
  const std::size_t times = first < 4 * segment ? 1 : first < 16 * segment ? 4 : 8;
  return std::max(segment, std::min(times * segment, kMostSegmentKeys));
}

int key_bits_of(const ParamReader& params) {
  const std::string codes = params.choice("codes");
  return codes == "none" ? 0 : std::stoi(codes);
}

// Where keys are kept by what they are worth, a cell promises what a key at twice `reach` would
// score.
constexpr float kShareReach = 2;

// How many cells and top cells a segment gets, by its number of keys.
class CellNumbers {
 public:
  explicit CellNumbers(const ParamReader& params)
      : whole_(static_cast<double>(qivf_segment(params, 0))) {
    const auto given = [&](std::string_view key, double automatic) {
      const auto value = static_cast<double>(params.integer(key));
      return value > 0 ? value : automatic;
    };
    lists_ = given("lists", whole_ / (key_bits_of(params) == 0 ? 8 : 32));
    tops_ = given("tops", 2 * std::sqrt(lists_));
  }
  std::size_t lists(std::size_t keys) const {
    return std::clamp<std::size_t>(static_cast<std::size_t>(lists_ * part(keys)), 1, keys);
  }
  // Tops go with the root of the lists.
  std::size_t tops(std::size_t keys) const {
    return std::clamp<std::size_t>(static_cast<std::size_t>(tops_ * std::sqrt(part(keys))), 1,
                                   lists(keys));
  }

 private:
  double part(std::size_t keys) const { return static_cast<double>(keys) / whole_; }

  double whole_, lists_ = 1, tops_ = 1;  // of a whole segment
};

struct QivfScratch final : SearchScratch {
  ProbeScratch probe;
  std::vector<float> exact;  // [group, found]
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
  SearchStats shortlist(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                        Shortlist& list) const override;
  SearchStats shortlist_in_turn(MatView<const float> queries, const SearchParams& p,
                                SearchScratch& scratch, Shortlist& list) const;
  std::size_t memory_bytes() const override;
  const BuildStats& build_stats() const override { return stats_; }
  void append(const BuildInput& more) override;
  void shrink(std::size_t n) override;
  void save(IndexState& state) const override;

 private:
  QivfIndex(const ParamReader& params, const BuildInput& in, KeyRows keys);
  void learn(const BuildInput& segment, BuildClock& clock);
  std::size_t probes(int effort) const;
  void count(const BuildClock& clock);

  std::size_t first_segment_, rerank_, default_probes_;
  CellNumbers numbers_;
  bool raw_;
  int iterations_, key_bits_;
  float open_, reach_;
  std::uint64_t seed_;
  KeyRows keys_;  // by id
  SegmentList list_;
  QueryMetric metric_;  // mean and a: of the last segment
  BuildStats stats_;
};

QivfIndex::QivfIndex(const ParamReader& params, const BuildInput& in, KeyRows keys)
    : first_segment_(qivf_segment(params, 0)),
      rerank_(static_cast<std::size_t>(params.integer("rerank"))),
      default_probes_(static_cast<std::size_t>(params.integers("probes").front())),
      numbers_(params),
      raw_(params.choice("metric") == "raw"),
      iterations_(static_cast<int>(params.integer("iterations"))),
      key_bits_(key_bits_of(params)),
      open_(static_cast<float>(params.number("open"))),
      reach_(static_cast<float>(params.number("reach"))),
      seed_(in.seed),
      keys_(std::move(keys)) {
  if (!raw_) return;
  metric_.a = Matrix<float>(in.keys.cols, in.keys.cols);
  for (std::size_t i = 0; i < in.keys.cols; ++i) metric_.a.row(i)[i] = 1;
}

QivfIndex::QivfIndex(const BuildInput& in, const ParamReader& params)
    : QivfIndex(params, in, KeyRows(in.keys, in.stored)) {
  BuildClock clock;
  const std::size_t n = in.keys.rows, dim = in.keys.cols;
  for (std::size_t first = 0; first < n; first = list_.keys()) {
    const std::size_t count = std::min(piece(first_segment_, first), n - first);
    BuildInput segment = in;
    segment.keys = in.keys.row_range(first, count);
    if (in.values.rows > 0) segment.values = in.values.row_range(first, count);
    for (QuerySet& set : segment.train) {
      // The rows of these positions, and others, earlier if possible, where they are too few for a
      // metric.
      const std::size_t m = set.rows.rows,
                        last = std::max(m * (first + count) / n, std::min(m, 2 * dim));
      const std::size_t from = std::min(m * first / n, last - std::min(last, 2 * dim));
      set.rows = set.rows.row_range(from, last - from);
    }
    learn(segment, clock);
  }
  count(clock);
}

void QivfIndex::append(const BuildInput& more) {
  BuildClock clock;
  RA_CHECK(more.keys.rows <= piece(first_segment_, list_.keys()));
  keys_.append(more.keys);
  learn(more, clock);
  count(clock);
}

void QivfIndex::shrink(std::size_t n) {
  list_.shrink(n);
  keys_.truncate(n);
}

void QivfIndex::learn(const BuildInput& segment, BuildClock& clock) {
  const MatView<const float> keys = segment.keys;
  clock.lap_ms();
  if (!raw_ && has_queries(segment.train)) {
    metric_ = fit_query_metric(keys, segment.train);
    metric_.a_inverse = {};
  } else {
    RA_CHECK(metric_.a.rows() == keys.cols);
    metric_.mean = plain_space(keys).mean;
  }
  const Matrix<float> x = transform_keys(metric_, keys);
  stats_.metric_ms += clock.lap_ms();
  const Cells cells = build_cells(x.view(),
                                  {.cells = numbers_.lists(keys.rows),
                                   .tops = numbers_.tops(keys.rows),
                                   .iterations = iterations_,
                                   .seed = seed_,
                                   .stream = list_.segments().size(),
                                   .search = segment.search},
                                  clock, stats_.distances);
  stats_.cluster_ms += clock.lap_ms();
  list_.add(keys, segment.values, cells, metric_.a.view(), key_bits_);
  stats_.pack_ms += clock.lap_ms();
}

void QivfIndex::count(const BuildClock& clock) {
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  stats_.build_ms += clock.wall_ms();
  stats_.cpu_s += clock.cpu_s();
}

std::size_t QivfIndex::memory_bytes() const {
  return keys_.bytes() + metric_.a.bytes() + list_.bytes();
}

std::size_t QivfIndex::probes(int effort) const {
  const std::size_t given = effort > 0 ? static_cast<std::size_t>(effort) : default_probes_;
  return given > 0 ? given : usual_probes(list_.cells());
}

SearchStats QivfIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<QivfScratch&>(scratch);
  const std::size_t k = static_cast<std::size_t>(p.k);
  const ProbeOptions o{
      .probes = probes(p.effort), .open = open_, .reach = reach_, .keep = std::max(rerank_, k)};
  SearchStats stats;
  for (std::size_t first = 0; first < queries.rows; first += kMostProbing) {
    const auto group = queries.row_range(first, std::min(kMostProbing, queries.rows - first));
    list_.probe(group, o, s.probe, stats);
    const std::size_t found = s.probe.found.size();
    s.exact.resize(std::max(s.exact.size(), group.rows * found));
    keys_.score_ids(group, s.probe.found, s.exact.data(), found);
    stats.distances += static_cast<std::int64_t>(group.rows * found);
    stats.bytes += static_cast<std::int64_t>(found * keys_.row_bytes());
    for (std::size_t r = 0; r < group.rows; ++r)
      (p.ranked ? best_hits : best_unranked)({s.exact.data() + r * found, found}, s.probe.found, k,
                                             s.probe.cut, hits[first + r]);
  }
  return stats;
}

// Nothing is scored again. Two or three queries by number miss what others would bring, so one goes
// the long way; by share none has to.
SearchStats QivfIndex::shortlist(MatView<const float> queries, const SearchParams& p,
                                 SearchScratch& scratch, Shortlist& list) const {
  const bool by_share = p.share != nullptr;
  RA_CHECK(!by_share || (key_bits_ > 0 && reach_ > 0));
  if (by_share && queries.rows > kMostProbing) return shortlist_in_turn(queries, p, scratch, list);
  if (key_bits_ == 0 || (queries.rows == 1 && !by_share) || queries.rows > kMostProbing)
    return VectorIndex::shortlist(queries, p, scratch, list);
  auto& s = static_cast<QivfScratch&>(scratch);
  SearchStats stats;
  list_.probe(queries,
              {.probes = probes(p.effort),
               .open = open_,
               .reach = by_share ? kShareReach * reach_ : reach_,
               .keep = shortlist_keep(rerank_, static_cast<std::size_t>(p.k), queries.rows),
               .fetch = p.fetch,
               .share = by_share ? p.share : nullptr},
              s.probe, stats);
  list.ids.assign(s.probe.found.begin(), s.probe.found.end());
  list.rest = s.probe.rest;
  list.floors.assign(s.probe.floors.begin(), s.probe.floors.end());
  stats.distances += static_cast<std::int64_t>(queries.rows * list.ids.size());
  return stats;
}

// By share, of more queries than can probe together.
SearchStats QivfIndex::shortlist_in_turn(MatView<const float> queries, const SearchParams& p,
                                         SearchScratch& scratch, Shortlist& list) const {
  SearchStats stats;
  Shortlist of_some;
  list.clear();
  for (std::size_t first = 0; first < queries.rows; first += kMostProbing) {
    const std::size_t count = std::min(kMostProbing, queries.rows - first);
    AttentionShare share = *p.share;
    share.held = share.held.subspan(first, count);
    SearchParams some = p;
    some.share = &share;
    stats += shortlist(queries.row_range(first, count), some, scratch, of_some);
    // join_rows counts a key once for each list it is on.
    stats.distances -= static_cast<std::int64_t>((count - 1) * of_some.ids.size());
    list.append(of_some);
  }
  join_rows(list, queries.rows, stats);
  return stats;
}

void QivfIndex::save(IndexState& state) const {
  std::vector<float> cell_spread, top_spread;
  const auto add_level = [&](const CellLevel& level, const char* name, std::vector<float>& spread) {
    for (std::size_t i = 0; i < level.count(); ++i)
      state.arrays[name].push_back(level.begin[i + 1] - level.begin[i]);
    spread.insert(spread.end(), level.spread.begin(), level.spread.end());
  };
  for (const CellSegment& segment : list_.segments()) {
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
    list_.add(in.keys.row_range(first, keys), {}, of, metric_.a.view(), key_bits_);
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

std::size_t qivf_segment(const ParamReader& params, std::size_t first) {
  return piece(static_cast<std::size_t>(params.integer("segment")), first);
}

bool qivf_for_group(const ParamReader& params) { return key_bits_of(params) > 0; }

bool qivf_by_share(const ParamReader& params) {
  return key_bits_of(params) > 0 && params.number("reach") > 0;
}

std::size_t qivf_bytes(const KeyShape& shape, const ParamReader& params) {
  const CellNumbers numbers(params);
  const auto bytes = [&](std::size_t keys) {
    return CellSegment::bytes_of(keys, shape.dim, most_cells(numbers.lists(keys)),
                                 numbers.tops(keys), key_bits_of(params), shape.value_dim);
  };
  std::size_t sum = KeyRows::bytes_of(shape) + shape.dim * shape.dim * sizeof(float);
  for (std::size_t first = 0, count = 0; first < shape.keys; first += count) {
    count = std::min(qivf_segment(params, first), shape.keys - first);
    sum += bytes(count) + (qivf_for_group(params) ? CellShape::bytes_of(shape.dim) : 0);
  }
  return sum;
}

std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QivfIndex>(in, params);
}

std::unique_ptr<VectorIndex> restore_qivf(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state) {
  return std::make_unique<QivfIndex>(in, params, state);
}

}  // namespace ra::index
