// SPDX-License-Identifier: Apache-2.0
#include "lib/index/coded_scan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/index_state.h"
#include "lib/index/key_store.h"

namespace ra::index {
namespace {

constexpr std::array kQscanParams{
    ParamInfo{"rank", "int", "32", 1, 1024, false,
              "coordinates kept of each key, one byte each; at most the head's dimension"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"rerank", "int", "800", 1, 1e9, true, "keys scored exactly after the scan"},
};

struct ScanScratch final : SearchScratch {
  std::vector<std::int8_t> codes;
  std::vector<float> approximate, exact;
  CutScratch cut;
  std::vector<std::uint32_t> ids;
};

class CodedScan final : public VectorIndex {
 public:
  CodedScan(const BuildInput& in, CodeSpace space, const CodedScanOptions& o,
            const BuildClock& clock)
      : keys_(in.keys, in.stored),
        space_(std::move(space)),
        codes_(space_, in.keys, o.bits),
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
    const std::size_t n = keys_.rows(), group = queries.rows, k = static_cast<std::size_t>(p.k);
    const std::size_t stride = codes_.blocks() * kernels::kCodeKeys;
    const std::size_t wanted = p.effort > 0 ? static_cast<std::size_t>(p.effort) : rerank_;
    const std::size_t m = std::min(n, std::max(wanted, k));
    s.approximate.resize(std::max(s.approximate.size(), group * stride));
    s.exact.resize(std::max(s.exact.size(), m));
    s.codes.resize(std::max(s.codes.size(), group * codes_.rank()));
    for (std::size_t r = 0; r < group; ++r)
      codes_.encode(queries.row(r), &s.codes[r * codes_.rank()]);
    codes_.score_all(s.codes.data(), group, s.approximate.data(), stride);
    for (std::size_t r = 0; r < group; ++r) {
      const auto best = cut({&s.approximate[r * stride], n}, m, s.cut);
      s.ids.assign(best.begin(), best.end());
      keys_.score_ids(queries.row_range(r, 1), s.ids, s.exact.data(), m);
      best_hits({s.exact.data(), m}, s.ids, k, s.cut, hits[r]);
    }
    const auto scanned = static_cast<std::int64_t>(group * n),
               exact = static_cast<std::int64_t>(group * m);
    return {.distances = scanned + exact,
            .coded = scanned,
            .bytes = static_cast<std::int64_t>(codes_.blocks() * codes_.block_bytes()) +
                     exact * static_cast<std::int64_t>(keys_.row_bytes()),
            .hops = 0};
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
  KeyRows keys_;
  CodeSpace space_;
  KeyCodes codes_;
  std::size_t rerank_;
  BuildStats stats_;
};

CodedScanOptions qscan_options(const ParamReader& params) {
  return {.bits = 8, .rerank = static_cast<std::size_t>(params.integers("rerank").front())};
}

}  // namespace

std::unique_ptr<VectorIndex> build_coded_scan(const BuildInput& in, CodeSpace space,
                                              const CodedScanOptions& o) {
  return std::make_unique<CodedScan>(in, std::move(space), o, BuildClock());
}

std::span<const ParamInfo> qscan_params() { return kQscanParams; }

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
