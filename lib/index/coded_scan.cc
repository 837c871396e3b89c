// SPDX-License-Identifier: Apache-2.0
#include "lib/index/coded_scan.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/index_state.h"
#include "lib/index/key_store.h"
#include "lib/index/sample_floor.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

constexpr std::array kQscanParams{
    ParamInfo{"rank", "int", "32", 1, 1024, false,
              "coordinates kept of each key, one byte each; at most the head's dimension"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"rerank", "int", "800", 1, 1e9, true,
              "keys of each query scored exactly after the scan; where a group attends to all that "
              "are found a quarter, at least k"},
};

// Of the keys every sixteenth, or every eighth where fewer are wanted, is scored first, and from
// its scores comes the floor that the others must reach: about as many do as are wanted, and their
// scores are never written down. One key in so many all along the context, since good keys come in
// stretches.
constexpr std::size_t kSparse = 16, kDense = 8;

// Rows of the keys in the order in which they are coded: every 16th key, then every 16th from the
// 8th on, then the others.
class SampleOrder {
 public:
  explicit SampleOrder(std::size_t keys)
      : sparse_((keys + kSparse - 1) / kSparse), dense_((keys + kDense - 1) / kDense) {}

  // The first rows are a sample of one key in `one_in`, kSparse or kDense.
  std::size_t sampled(std::size_t one_in) const { return one_in == kSparse ? sparse_ : dense_; }
  std::size_t key_of(std::size_t row) const {
    if (row < sparse_) return row * kSparse;
    if (row < dense_) return (row - sparse_) * kSparse + kDense;
    const std::size_t other = row - dense_;
    return other + other / (kDense - 1) + 1;
  }
  Matrix<float> apply(MatView<const float> keys) const {
    Matrix<float> rows(keys.rows, keys.cols);
    for (std::size_t r = 0; r < keys.rows; ++r)
      std::copy_n(keys.row(key_of(r)), keys.cols, rows.row(r));
    return rows;
  }

 private:
  std::size_t sparse_, dense_;
};

struct ScanScratch final : SearchScratch {
  std::vector<std::int8_t> codes;
  std::vector<float> units, sample, best, exact, floors;
  std::vector<std::uint32_t> rows;  // that reach the floor of any query, later their keys
  CutScratch cut;
};

class CodedScan final : public VectorIndex {
 public:
  CodedScan(const BuildInput& in, CodeSpace space, const CodedScanOptions& o,
            const BuildClock& clock)
      : keys_(in.keys, in.stored),
        space_(std::move(space)),
        order_(in.keys.rows),
        codes_(space_, order_.apply(in.keys).view(), o.bits),
        rerank_(o.rerank) {
    stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
    stats_.build_ms = clock.wall_ms();
    stats_.cpu_s = clock.cpu_s();
  }

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<ScanScratch>();
  }

  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override {
    check_search(queries, keys_.cols(), p, hits);
    auto& s = static_cast<ScanScratch&>(scratch);
    const std::size_t k = static_cast<std::size_t>(p.k), m = std::max(rerank(p), k);
    SearchStats stats;
    for (std::size_t r = 0; r < queries.rows; r += kernels::kMostFilterQueries) {
      const std::size_t count = std::min(kernels::kMostFilterQueries, queries.rows - r);
      search_some(queries.row_range(r, count), k, m, p.ranked, s, hits.subspan(r, count), stats);
    }
    return stats;
  }

  SearchStats shortlist(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                        Shortlist& list) const override {
    if (queries.rows == 1 || queries.rows > kernels::kMostFilterQueries)
      return VectorIndex::shortlist(queries, p, scratch, list);
    auto& s = static_cast<ScanScratch&>(scratch);
    const std::size_t k = static_cast<std::size_t>(p.k);
    SearchStats stats;
    const auto found = scan(queries, k, shortlist_keep(rerank(p), k, queries.rows), s, stats);
    list.ids.assign(found.begin(), found.end());
    list.floors.clear();
    for (std::size_t r = 0; r < queries.rows; ++r)
      list.floors.push_back(dot(queries.row(r), space_.mean.data(), keys_.cols()) +
                            s.units[r] * s.floors[r]);
    return stats;
  }

  std::size_t memory_bytes() const override { return keys_.bytes() + codes_.bytes(); }
  const BuildStats& build_stats() const override { return stats_; }
  void save(IndexState& state) const override {
    if (space_.key_map.rows() == 0) return;  // the keys are enough
    state.put_floats("mean", space_.mean);
    for (const auto& [name, map] :
         {std::pair{"key_map", &space_.key_map}, std::pair{"query_map", &space_.query_map}})
      state.put_floats(name, {map->data(), map->rows() * map->cols()});
  }

 private:
  std::size_t rerank(const SearchParams& p) const {
    return p.effort > 0 ? static_cast<std::size_t>(p.effort) : rerank_;
  }
  std::span<const std::uint32_t> scan(MatView<const float> queries, std::size_t k, std::size_t m,
                                      ScanScratch& s, SearchStats& stats) const;
  void search_some(MatView<const float> queries, std::size_t k, std::size_t m, bool ranked,
                   ScanScratch& s, std::span<std::vector<Hit>> hits, SearchStats& stats) const;
  std::size_t find_rows(std::size_t group, std::size_t m, ScanScratch& s) const;

  KeyRows keys_;
  CodeSpace space_;
  SampleOrder order_;
  KeyCodes codes_;  // in that order
  std::size_t rerank_;
  BuildStats stats_;
};

// s.rows = about the m best rows of each query, those of all queries together. Returns how many.
std::size_t CodedScan::find_rows(std::size_t group, std::size_t m, ScanScratch& s) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::size_t n = keys_.rows(), one_in = sample_sets_floor(n, m, kSparse) ? kSparse : kDense,
                    wanted = sample_sets_floor(n, m, one_in) ? order_.sampled(one_in) : n,
                    blocks = (wanted + kernels::kCodeKeys - 1) / kernels::kCodeKeys,
                    stride = blocks * kernels::kCodeKeys, sampled = std::min(stride, n),
                    rank = (m * sampled + n - 1) / n;
  s.floors.assign(group, -kInfinity);
  s.rows.resize(std::max(s.rows.size(), codes_.blocks() * kernels::kCodeKeys));
  if (rank >= sampled)
    return codes_.at_least_from(s.codes.data(), group, 0, s.floors.data(), s.rows.data());
  s.sample.resize(std::max(s.sample.size(), group * stride));
  const SampleFloor floor = sampled < n ? sample_floor(sampled, rank) : SampleFloor{0, rank};
  s.best.assign(group * floor.parts, -kInfinity);
  const kernels::ScoreRule rule{.rows = n, .best = s.best.data(), .parts = floor.parts};
  codes_.score_first(s.codes.data(), group, blocks, s.sample.data(), stride, &rule);
  for (std::size_t r = 0; r < group; ++r)
    s.floors[r] = floor_of(floor, r, s.best, {&s.sample[r * stride], sampled}, s.cut);
  const std::size_t first =
      rows_at_floor(s.sample.data(), stride, sampled, s.floors, s.rows.data());
  return first +
         codes_.at_least_from(s.codes.data(), group, blocks, s.floors.data(), &s.rows[first]);
}

// The keys of those rows, at least k. Counted as scored exactly, too.
std::span<const std::uint32_t> CodedScan::scan(MatView<const float> queries, std::size_t k,
                                               std::size_t m, ScanScratch& s,
                                               SearchStats& stats) const {
  const std::size_t n = keys_.rows(), group = queries.rows;
  s.codes.resize(std::max(s.codes.size(), group * codes_.rank()));
  s.units.resize(std::max(s.units.size(), group));
  for (std::size_t r = 0; r < group; ++r)
    s.units[r] = codes_.encode(queries.row(r), &s.codes[r * codes_.rank()]);
  std::size_t found = find_rows(group, m, s);
  if (found < std::min(k, n)) found = find_rows(group, n, s);  // the sample misled
  for (std::size_t i = 0; i < found; ++i)
    s.rows[i] = static_cast<std::uint32_t>(order_.key_of(s.rows[i]));
  const auto scanned = static_cast<std::int64_t>(group * n);
  stats.distances += scanned + static_cast<std::int64_t>(group * found);
  stats.coded += scanned;
  stats.bytes += static_cast<std::int64_t>(codes_.blocks() * codes_.block_bytes());
  return {s.rows.data(), found};
}

void CodedScan::search_some(MatView<const float> queries, std::size_t k, std::size_t m, bool ranked,
                            ScanScratch& s, std::span<std::vector<Hit>> hits,
                            SearchStats& stats) const {
  const std::span<const std::uint32_t> ids = scan(queries, k, m, s, stats);
  const std::size_t group = queries.rows, found = ids.size();
  s.exact.resize(std::max(s.exact.size(), group * found));
  keys_.score_ids(queries, ids, s.exact.data(), found);
  for (std::size_t r = 0; r < group; ++r)
    (ranked ? best_hits : best_unranked)({&s.exact[r * found], found}, ids, k, s.cut, hits[r]);
  stats.bytes += static_cast<std::int64_t>(found * keys_.row_bytes());
}

CodedScanOptions qscan_options(const ParamReader& params) {
  return {.bits = 8, .rerank = static_cast<std::size_t>(params.integers("rerank").front())};
}

}  // namespace

std::unique_ptr<VectorIndex> build_coded_scan(const BuildInput& in, CodeSpace space,
                                              const CodedScanOptions& o) {
  return std::make_unique<CodedScan>(in, std::move(space), o, BuildClock());
}

std::span<const ParamInfo> qscan_params() { return kQscanParams; }

std::size_t qscan_bytes(const KeyShape& shape, const ParamReader& params) {
  const std::size_t rank = std::min(shape.dim, static_cast<std::size_t>(params.integer("rank")));
  const std::size_t query_map = (rank + 3) * shape.dim * sizeof(float);  // of a padded rank
  return KeyRows::bytes_of(shape) +
         KeyCodes::bytes_of(shape.keys, rank, qscan_options(params).bits) + query_map;
}

std::unique_ptr<VectorIndex> build_qscan(const BuildInput& in, const ParamReader& params) {
  const BuildClock clock;
  const QueryMetric metric = fit_query_metric(in.keys, in.train);
  const Matrix<float> x = transform_keys(metric, in.keys);
  return std::make_unique<CodedScan>(
      in, low_rank_space(metric, x.view(), static_cast<std::size_t>(params.integer("rank"))),
      qscan_options(params), clock);
}

std::unique_ptr<VectorIndex> restore_qscan(const BuildInput& in, const ParamReader& params,
                                           const IndexState& state) {
  const BuildClock clock;
  const std::size_t dim = in.keys.cols,
                    rank = std::min(dim, static_cast<std::size_t>(params.integer("rank")));
  const auto map = [&](std::string_view name) {
    const auto values = state.floats(name, rank * dim);
    Matrix<float> m(rank, dim);
    std::copy(values.begin(), values.end(), m.data());
    return m;
  };
  CodeSpace space{state.floats("mean", dim), map("key_map"), map("query_map")};
  return std::make_unique<CodedScan>(in, std::move(space), qscan_options(params), clock);
}

}  // namespace ra::index
