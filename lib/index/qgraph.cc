// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qgraph.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/index/beam_search.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/key_store.h"
#include "lib/index/nearest_rows.h"
#include "lib/index/occlusion.h"
#include "lib/index/query_metric.h"
#include "lib/index/query_seeds.h"
#include "lib/index/roar_connect.h"
#include "lib/index/roar_project.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"neighbours", "int", "48", 1, 1000, false, "nearest keys a key is linked to"},
    ParamInfo{"prune", "int", "16", 0, 1000, false,
              "links of a key that none of its nearer links stands in for; 0 = all"},
    ParamInfo{"links", "int", "32", 1, 1000, false, "most links of a key, those back included"},
    ParamInfo{
        "metric", "head|group", "head", 0, 0, false,
        "whose training queries the metric of a graph is fitted to: a graph for each head, or "
        "one for all"},
    ParamInfo{"recent", "float", "0.25", 0.001, 1, false,
              "share of the training queries that the metric is fitted to: the last ones"},
    ParamInfo{"steps", "int", "4", 0, 100, false, "last queries of a head whose hits are seeds"},
    ParamInfo{"centres", "int", "32", 1, 10000, false,
              "clusters of training queries whose best keys are seeds"},
    ParamInfo{"nearest", "int", "1", 0, 1000, false, "clusters of a query, whose keys are seeds"},
    ParamInfo{"k", "int", "100", 1, 1e6, false, "hits that the beams are chosen for"},
    ParamInfo{"holdout", "int", "64", 0, 1e6, false,
              "last training queries, kept from the rest of the build to choose the beams"},
    ParamInfo{"gap", "int", "1024", 0, 1e9, false,
              "last keys left out of what they should find: later queries have such near keys in "
              "their window"},
    ParamInfo{"beam", "int", "0", 0, 1e9, false, "beam of every head; 0 = by target"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"target", "int", "900", 1, 1e9, true,
              "per mille of their best keys that the held-out queries find; 1000 = a full search"},
};

struct QgraphScratch final : SearchScratch {
  BeamScratch beam;
  std::vector<std::deque<std::vector<std::uint32_t>>> last;  // of each head: hits, newest first
  std::vector<std::uint32_t> entries;
  std::vector<float> centre_scores;
};

// What the held-out queries of a head found with a beam.
struct BeamPoint {
  std::size_t beam;
  double recall;
};

struct Head {
  std::size_t graph = 0;
  std::vector<std::uint32_t> hubs;
  QuerySeeds seeds;
  std::vector<BeamPoint> points;  // beams ascending
};

// The nearest keys of each, and the nearest ones of every 16th key, of every 256th ...: keys often
// fall into tight clusters, and links to nearest keys alone never leave them.
LinkLists candidate_links(MatView<const float> x, std::size_t m, BuildClock& clock,
                          std::int64_t& distances) {
  constexpr std::size_t kThinner = 16;
  LinkLists links(x.rows);
  for (std::size_t step = 1; step == 1 || x.rows / step > m; step *= kThinner) {
    const MatView<const float> every{x.data, (x.rows + step - 1) / step, x.cols, x.stride * step};
    // One place for the key itself.
    const LinkLists found = nearest_rows(x, every, step == 1 ? m + 1 : m / 2 + 1, clock, distances);
    for (std::uint32_t i = 0; i < x.rows; ++i)
      for (const std::uint32_t row : found[i])
        if (const auto to = static_cast<std::uint32_t>(row * step); to != i) links[i].push_back(to);
  }
  return links;
}

std::size_t size_of(const ParamReader& params, std::string_view key) {
  return static_cast<std::size_t>(params.integer(key));
}

class QgraphIndex final : public VectorIndex {
 public:
  QgraphIndex(const BuildInput& in, const ParamReader& params);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    auto s = std::make_unique<QgraphScratch>();
    s->last.resize(heads_.size());
    return s;
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override;
  const BuildStats& build_stats() const override { return stats_; }
  bool sequential() const override { return steps_ > 0; }

 private:
  void add_graph(MatView<const float> x, const ParamReader& params, BuildClock& clock);
  void describe_graphs();
  void choose_beams(std::size_t head, MatView<const float> held_out, const ParamReader& params,
                    std::int64_t& distances);
  std::size_t beam_of(const Head& head, int target) const;
  SearchStats search_head(std::size_t head, const float* query, std::size_t k, std::size_t beam,
                          QgraphScratch& s) const;

  Matrix<float> keys_;
  std::vector<Graph> graphs_;
  std::vector<Head> heads_;
  std::size_t steps_, nearest_, beam_;
  int default_target_;
  BuildStats stats_;
};

QgraphIndex::QgraphIndex(const BuildInput& in, const ParamReader& params)
    : keys_(copy_rows(in.keys)),
      heads_(in.train.size()),
      steps_(size_of(params, "steps")),
      nearest_(size_of(params, "nearest")),
      beam_(size_of(params, "beam")),
      default_target_(static_cast<int>(params.integers("target").front())) {
  BuildClock clock;
  std::vector<QuerySet> learnt;  // what is not held out
  std::vector<MatView<const float>> held_out;
  for (const QuerySet& set : in.train) {
    const std::size_t m = set.rows.rows, out = std::min(size_of(params, "holdout"), m / 4);
    learnt.push_back({set.rows.row_range(0, m - out)});
    held_out.push_back(set.rows.row_range(m - out, out));
  }
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    heads_[h].seeds = QuerySeeds(
        in.keys, learnt[h].rows,
        {.centres = size_of(params, "centres"), .keys = 32, .seed = in.seed, .stream = h}, clock,
        stats_.distances);
    heads_[h].hubs = heads_[h].seeds.hubs();
    if (heads_[h].hubs.empty()) heads_[h].hubs = {0};
  }
  stats_.knn_ms = clock.lap_ms();
  const bool own = params.choice("metric") == "head";
  for (std::size_t h = 0; h < heads_.size(); ++h) heads_[h].graph = own ? h : 0;
  for (std::size_t h = 0; h < (own ? heads_.size() : 1); ++h) {
    const auto sets = own ? std::span(learnt).subspan(h, 1) : std::span(learnt);
    const QueryMetric metric =
        fit_query_metric(in.keys, sets, kEigenvalueFloor, params.number("recent"));
    add_graph(lift_to_sphere(transform_keys(metric, in.keys).view()).view(), params, clock);
  }
  describe_graphs();
  stats_.connect_ms += clock.lap_ms();
  std::vector<std::int64_t> distances(heads_.size());
  clock.parallel(heads_.size(), 1, [&](std::size_t h, std::size_t) {
    choose_beams(h, held_out[h], params, distances[h]);
  });
  stats_.distances += std::accumulate(distances.begin(), distances.end(), std::int64_t{0});
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

// x: lifted, so that the key nearest to another has the largest inner product with it.
void QgraphIndex::add_graph(MatView<const float> x, const ParamReader& params, BuildClock& clock) {
  LinkLists links = candidate_links(x, size_of(params, "neighbours"), clock, stats_.distances);
  stats_.knn_ms += clock.lap_ms();
  if (const std::size_t kept = size_of(params, "prune"); kept > 0) {
    std::atomic<std::int64_t> total{0};
    clock.parallel(links.size(), 256, [&](std::size_t first, std::size_t last) {
      std::vector<Hit> candidates;
      std::int64_t done = 0;
      for (std::size_t i = first; i < last; ++i) {
        done += rank_candidates(x, static_cast<std::uint32_t>(i), links[i], candidates);
        done += select_links(x, candidates, kept, false, links[i]);
      }
      total += done;
    });
    stats_.distances += total;
  }
  links = add_reverse_links(x, links, size_of(params, "links"), true, clock, stats_.distances);
  // From the entries of any head that uses the graph, every key is reached.
  for (const Head& head : heads_)
    if (head.graph == graphs_.size()) repair(x, head.hubs, links, stats_.distances);
  graphs_.emplace_back(links);
  stats_.connect_ms += clock.lap_ms();
}

void QgraphIndex::describe_graphs() {
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  std::size_t links = 0;
  for (const Graph& graph : graphs_) {
    links += graph.link_count();
    stats_.degree_max = std::max(stats_.degree_max, static_cast<std::int64_t>(graph.max_degree()));
  }
  stats_.degree_mean =
      static_cast<double>(links) / static_cast<double>(graphs_.size() * keys_.rows());
  double reached = 0;
  for (const Head& head : heads_) {
    const auto marks = reachable_from(graphs_[head.graph], head.hubs);
    reached += static_cast<double>(std::accumulate(marks.begin(), marks.end(), 0LL));
  }
  stats_.reachable_frac = reached / static_cast<double>(heads_.size() * keys_.rows());
}

std::size_t QgraphIndex::memory_bytes() const {
  std::size_t bytes = keys_.bytes();
  for (const Graph& graph : graphs_) bytes += graph.bytes();
  for (const Head& head : heads_) bytes += head.seeds.bytes();
  return bytes;
}

SearchStats QgraphIndex::search_head(std::size_t head, const float* query, std::size_t k,
                                     std::size_t beam, QgraphScratch& s) const {
  const Head& h = heads_[head];
  s.entries = h.hubs;
  for (const auto& hits : s.last[head]) s.entries.insert(s.entries.end(), hits.begin(), hits.end());
  SearchStats stats;
  if (nearest_ > 0) {
    h.seeds.add(query, nearest_, s.centre_scores, s.entries);
    stats.distances += static_cast<std::int64_t>(h.seeds.centres());
  }
  const BeamCounts counts = beam_search(graphs_[h.graph], keys_.view(), query, s.entries,
                                        {beam, std::max(beam, k)}, s.beam);
  stats.distances += counts.distances;
  stats.hops += counts.hops;
  stats.bytes = stats.distances * static_cast<std::int64_t>(keys_.cols() * sizeof(float));
  if (steps_ == 0) return stats;
  if (s.last[head].size() == steps_) s.last[head].pop_back();
  std::vector<std::uint32_t> found;
  for (std::size_t i = 0; i < std::min(k, s.beam.pool.size()); ++i)
    found.push_back(s.beam.pool[i].id);
  s.last[head].push_front(std::move(found));
  return stats;
}

// Searches the held-out queries with wider and wider beams, until they find nearly all.
void QgraphIndex::choose_beams(std::size_t head, MatView<const float> held_out,
                               const ParamReader& params, std::int64_t& distances) {
  if (held_out.rows == 0 || beam_ > 0) return;
  const std::size_t n = keys_.rows(), counted = n - std::min(size_of(params, "gap"), n / 8);
  const std::size_t k = std::min(size_of(params, "k"), counted);
  std::vector<float> scores(n), least(held_out.rows);  // the k-th best score of each query
  std::vector<Hit> best;
  for (std::size_t i = 0; i < held_out.rows; ++i) {
    score_block(held_out.row_range(i, 1), keys_.view(), 0, counted, scores.data(), counted);
    TopK top;
    top.reset(k);
    top.push_range(scores.data(), counted, 0u);
    top.finish(best);
    least[i] = best.back().score;
  }
  distances += static_cast<std::int64_t>(held_out.rows * counted);
  double recall = 0;
  for (std::size_t beam = std::max<std::size_t>(k / 4, 1); recall < 0.998 && beam < n / 2;
       beam += beam / 4 + 1) {
    const auto scratch = make_scratch();
    auto& s = static_cast<QgraphScratch&>(*scratch);
    std::size_t found = 0;
    for (std::size_t i = 0; i < held_out.rows; ++i) {
      distances += search_head(head, held_out.row(i), k, beam, s).distances;
      for (const auto& node : s.beam.pool) found += node.id < counted && node.score >= least[i];
    }
    recall = static_cast<double>(found) / static_cast<double>(k * held_out.rows);
    heads_[head].points.push_back({beam, recall});
  }
}

std::size_t QgraphIndex::beam_of(const Head& head, int target) const {
  if (target >= 1000) return keys_.rows();
  if (beam_ > 0) return beam_;
  for (const BeamPoint& point : head.points)
    if (1000 * point.recall >= target) return point.beam;
  return head.points.empty() ? std::min<std::size_t>(keys_.rows(), 200) : head.points.back().beam;
}

SearchStats QgraphIndex::search(MatView<const float> queries, const SearchParams& p,
                                SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  RA_CHECK(p.heads.empty() || p.heads.size() == queries.rows);
  auto& s = static_cast<QgraphScratch&>(scratch);
  const auto k = static_cast<std::size_t>(p.k);
  const int target = p.effort > 0 ? p.effort : default_target_;
  SearchStats stats;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    const std::size_t head = (p.heads.empty() ? r : p.heads[r]) % heads_.size();
    stats += search_head(head, queries.row(r), k, beam_of(heads_[head], target), s);
    hits[r].clear();
    for (std::size_t i = 0; i < std::min(k, s.beam.pool.size()); ++i)
      hits[r].push_back({s.beam.pool[i].id, s.beam.pool[i].score});
  }
  return stats;
}

}  // namespace

std::span<const ParamInfo> qgraph_params() { return kParams; }

std::unique_ptr<VectorIndex> build_qgraph(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QgraphIndex>(in, params);
}

}  // namespace ra::index
