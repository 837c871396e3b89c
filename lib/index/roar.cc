// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/index/beam_search.h"
#include "lib/index/build_clock.h"
#include "lib/index/index_state.h"
#include "lib/index/key_store.h"
#include "lib/index/knn_table.h"
#include "lib/index/query_metric.h"
#include "lib/index/roar_connect.h"
#include "lib/index/roar_project.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"m", "int", "35", 2, 256, false,
              "most links of a key in the projection; the "
              "connectivity stage adds as many again"},
    ParamInfo{"beam", "int", "500", 1, 10000, false,
              "width of the search that connects each "
              "key to the rest; sets most of the build time"},
    ParamInfo{"knn", "int", "100", 2, 10000, false, "exact best keys taken of each training query"},
    ParamInfo{"metric", "raw|lift|centred|query", "query", 0, 0, false,
              "nearness of keys: inner product, inner product on the sphere, that of the keys less "
              "their mean, or score difference over the training queries"},
    ParamInfo{"queries", "int", "0", 0, 1e9, false,
              "most training queries, spread evenly; 0 = all"},
    ParamInfo{"pool", "int", "1", 0, 1, false,
              "1 joins the lists of all queries of a pivot; 0 keeps the last, as published"},
    ParamInfo{"pivots", "int", "10", 1, 100, false,
              "with pool=1: best keys that take a query's list"},
    ParamInfo{"batches", "int", "16", 1, 10000, false,
              "steps of the connectivity stage; 1 = all keys at once, as published"},
    ParamInfo{
        "entry", "centroid|hubs|newest|last", "hubs", 0, 0, false,
        "where a search starts: the central key; also keys that answer many queries; also the "
        "newest keys; hubs and the hits of the head's last query"},
    ParamInfo{"hubs", "int", "16", 1, 1000, false, "number of such keys, or of the newest"},
    ParamInfo{"repair", "int", "1", 0, 1, false, "1 links keys that no path would reach"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"ef", "int", "100", 1, 1e9, true, "width of the search beam"},
};

struct RoarScratch final : SearchScratch {
  BeamScratch beam;
  std::vector<std::vector<std::uint32_t>> last;  // of each head: hits of its last query
  std::vector<std::uint32_t> entries;
};

constexpr std::size_t kMostHeads = 4096;

class RoarIndex final : public VectorIndex {
 public:
  RoarIndex(const BuildInput& in, const ParamReader& params);
  RoarIndex(const BuildInput& in, const ParamReader& params, const IndexState& state);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    auto s = std::make_unique<RoarScratch>();
    s->last.resize(heads_);
    return s;
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override { return keys_.bytes() + graph_.bytes(); }
  const BuildStats& build_stats() const override { return stats_; }
  void save(IndexState& state) const override;
  bool sequential() const override { return last_; }

 private:
  RoarIndex(const BuildInput& in, const ParamReader& params, std::size_t heads);
  void describe_graph();

  Matrix<float> keys_;
  Graph graph_;
  std::vector<std::uint32_t> entries_;
  std::size_t heads_;  // that searches are told apart by
  bool last_;          // a search starts from the hits of its head's last query too
  int default_beam_;
  BuildStats stats_;
};

RoarIndex::RoarIndex(const BuildInput& in, const ParamReader& params, std::size_t heads)
    : keys_(copy_rows(in.keys)),
      heads_(heads),
      last_(params.choice("entry") == "last"),
      default_beam_(static_cast<int>(params.integers("ef").front())) {}

RoarIndex::RoarIndex(const BuildInput& in, const ParamReader& params)
    : RoarIndex(in, params, in.train.size()) {
  const auto size = [&](std::string_view key) {
    return static_cast<std::size_t>(params.integer(key));
  };
  BuildClock clock;
  const auto queries = pick_queries(in.train, size("queries"));
  KnnTable found;
  if (in.lists == nullptr) {
    found = exact_knn(keys_.view(), queries, size("knn"), clock, in.search);
    stats_.distances += static_cast<std::int64_t>(queries.size() * keys_.rows());
  }
  const KnnTable& table = in.lists == nullptr ? found : *in.lists;
  RA_CHECK(table.queries == queries.size() && table.k == std::min(size("knn"), keys_.rows()));
  stats_.knn_ms = clock.lap_ms();

  const Matrix<float> x = graph_vectors(parse_metric(params.choice("metric")), in);
  LinkLists links = project(x.view(), table,
                            {.m = size("m"), .pool = size("pool") == 1, .pivots = size("pivots")},
                            clock, stats_.distances);
  stats_.project_ms = clock.lap_ms();

  entries_ = {central_key(x.view(), links)};
  const std::string entry = params.choice("entry");
  std::vector<std::uint32_t> more;
  if (entry == "hubs" || entry == "last") more = hub_keys(table, keys_.rows(), size("hubs"));
  if (entry == "newest")
    for (std::size_t i = keys_.rows() - std::min(size("hubs"), keys_.rows()); i < keys_.rows(); ++i)
      more.push_back(static_cast<std::uint32_t>(i));
  for (const std::uint32_t key : more)
    if (key != entries_.front()) entries_.push_back(key);
  connect(x.view(), entries_,
          {.m = size("m"), .beam = size("beam"), .batches = size("batches"), .seed = in.seed},
          links, clock, stats_.distances);
  if (size("repair") == 1) repair(x.view(), entries_, links, stats_.distances);
  graph_ = Graph(links);
  stats_.connect_ms = clock.lap_ms();
  describe_graph();
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

RoarIndex::RoarIndex(const BuildInput& in, const ParamReader& params, const IndexState& state)
    : RoarIndex(in, params, state.array("heads", 1).front()) {
  if (heads_ == 0 || heads_ > kMostHeads) refuse_state("heads", fmt::format("{} heads", heads_));
  stats_ = state.stats;
  const std::size_t n = keys_.rows();
  const auto& degrees = state.array("degrees", n);
  const auto& to = state.ids("links", n);
  entries_ = state.ids("entries", n);
  if (entries_.empty()) refuse_state("entries", "there are none");
  if (std::accumulate(degrees.begin(), degrees.end(), std::uint64_t{0}) != to.size())
    refuse_state("degrees", fmt::format("their sum is not that of the {} links", to.size()));
  LinkLists links(n);
  auto next = to.begin();
  for (std::size_t i = 0; i < n; ++i) {
    links[i].assign(next, next + degrees[i]);
    next += degrees[i];
  }
  graph_ = Graph(links);
  describe_graph();
}

void RoarIndex::save(IndexState& state) const {
  std::vector<std::uint32_t> degrees, to;
  for (std::uint32_t i = 0; i < graph_.size(); ++i) {
    const auto links = graph_.links(i);
    degrees.push_back(static_cast<std::uint32_t>(links.size()));
    to.insert(to.end(), links.begin(), links.end());
  }
  state.arrays["degrees"] = std::move(degrees);
  state.arrays["links"] = std::move(to);
  state.arrays["entries"] = entries_;
  state.arrays["heads"] = {static_cast<std::uint32_t>(heads_)};
}

void RoarIndex::describe_graph() {
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  index::describe_graph(graph_, entries_, stats_);
}

SearchStats RoarIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  RA_CHECK(p.heads.empty() || p.heads.size() == queries.rows);
  auto& s = static_cast<RoarScratch&>(scratch);
  const auto k = static_cast<std::size_t>(p.k);
  const auto beam = static_cast<std::size_t>(p.effort > 0 ? p.effort : default_beam_);
  SearchStats stats;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    std::vector<std::uint32_t>& last = s.last[(p.heads.empty() ? r : p.heads[r]) % heads_];
    s.entries = entries_;
    s.entries.insert(s.entries.end(), last.begin(), last.end());
    const BeamCounts counts = beam_search(graph_, keys_.view(), queries.row(r), s.entries,
                                          {.beam = beam, .keep = std::max(beam, k)}, s.beam);
    hits[r].clear();
    for (std::size_t i = 0; i < std::min(k, s.beam.pool.size()); ++i)
      hits[r].push_back({s.beam.pool[i].id, s.beam.pool[i].score});
    stats.distances += counts.distances;
    stats.hops += counts.hops;
    if (!last_) continue;
    last.clear();
    for (const Hit& hit : hits[r]) last.push_back(hit.id);
  }
  stats.bytes = stats.distances * static_cast<std::int64_t>(keys_.cols() * sizeof(float));
  return stats;
}

}  // namespace

std::span<const ParamInfo> roar_params() { return kParams; }

std::size_t roar_lists(const ParamReader& params) {
  return params.integer("queries") == 0 ? static_cast<std::size_t>(params.integer("knn")) : 0;
}

std::size_t roar_bytes(const KeyShape& shape, const ParamReader& params) {
  // The projection and the connectivity stage link a key to m others each; a repair adds few.
  const auto links = static_cast<std::size_t>(2 * params.integer("m") + 1);
  return shape.keys * shape.dim * sizeof(float) + Graph::bytes_of(shape.keys, links * shape.keys);
}

std::unique_ptr<VectorIndex> build_roar(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<RoarIndex>(in, params);
}

std::unique_ptr<VectorIndex> restore_roar(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state) {
  return std::make_unique<RoarIndex>(in, params, state);
}

}  // namespace ra::index
