// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qgraph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/index/beam_search.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/key_store.h"
#include "lib/index/knn_table.h"
#include "lib/index/nearest_rows.h"
#include "lib/index/occlusion.h"
#include "lib/index/query_metric.h"
#include "lib/index/roar_connect.h"
#include "lib/index/roar_project.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"candidates", "int", "96", 1, 1000, false,
              "nearest keys, for the whole group, that the links of a key are chosen from"},
    ParamInfo{"prune", "int", "16", 1, 1000, false,
              "links of a key that none of its nearer links stands in for"},
    ParamInfo{"links", "int", "32", 1, 1000, false, "most links of a key, those back included"},
    ParamInfo{
        "metric", "head|group", "head", 0, 0, false,
        "whose training queries the metric of a graph is fitted to: a graph for each head, or "
        "one for all"},
    ParamInfo{"recent", "float", "0.25", 0.001, 1, false,
              "share of the training queries that the metric is fitted to: the last ones"},
    ParamInfo{"rank", "int", "31", 1, 100000, false,
              "directions in which a graph compares keys: those they vary most in"},
    ParamInfo{"first", "int", "4", 0, 1000, false,
              "nearest links of a key that are followed at once, the others when a second key "
              "names them"},
    ParamInfo{"steps", "int", "1", 0, 100, false,
              "last queries of a head whose hits a search starts from"},
    ParamInfo{"memory", "int", "30", 0, 10000, false,
              "queries before them whose hits count as named once"},
    ParamInfo{"best", "int", "4", 0, 10000, false,
              "hits of each of these that a search starts from too"},
    ParamInfo{"hubs", "int", "32", 0, 10000, false,
              "keys that answer most training queries between them: every search starts from them"},
    ParamInfo{"cold", "int", "16", 1, 1e9, false,
              "without last queries a search starts from every so many-th key"},
    ParamInfo{"probes", "int", "16", 0, 1e6, false,
              "keys that a search starts from too, other ones each time"},
    ParamInfo{"k", "int", "100", 1, 1e6, false, "hits that the beams are chosen for"},
    ParamInfo{"holdout", "int", "64", 0, 1e6, false,
              "last training queries, kept from the rest of the build to choose the beams"},
    ParamInfo{"gap", "int", "1024", 0, 1e9, false,
              "last keys left out of what they should find: later queries have such near keys in "
              "their window"},
    ParamInfo{"floor", "int", "880", 0, 1000, false,
              "per mille of their best keys that the held-out queries find at any price"},
    ParamInfo{"beam", "int", "0", 0, 1e9, false, "beam of every head; 0 = by worth"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"worth", "int", "180", 1, 1e9, true,
              "inner products that one more hit is worth; the number of keys = a full search"},
};

constexpr std::size_t kMostHeads = 4096;
constexpr std::size_t kHubQueries = 256;  // training queries that hubs are chosen for

struct QgraphScratch final : SearchScratch {
  struct Past {
    std::deque<std::vector<std::uint32_t>> hits;  // of the last queries, newest first
    std::uint32_t probes = 0;                     // so far
  };
  BeamScratch beam;
  std::vector<Past> heads;
  std::vector<std::uint32_t> entries, named;
};

// What a held-out query found with a beam, and what it cost, on the average.
struct BeamPoint {
  std::size_t beam;
  float hits, distances;
};

struct Head {
  std::size_t graph = 0;
  std::vector<std::uint32_t> hubs;
  std::vector<BeamPoint> points;  // beams ascending
};

std::size_t size_of(const ParamReader& params, std::string_view key) {
  return static_cast<std::size_t>(params.integer(key));
}

// The nearest keys of each, and the nearest ones of every 16th key, of every 256th ...: keys often
// fall into tight clusters, and links to nearest keys alone never leave them.
LinkLists nearest_keys(MatView<const float> x, std::size_t m, RowSearch* search, BuildClock& clock,
                       std::int64_t& distances) {
  constexpr std::size_t kThinner = 16;
  LinkLists links(x.rows);
  for (std::size_t step = 1; step == 1 || x.rows / step > m / 2; step *= kThinner) {
    const MatView<const float> every{x.data, (x.rows + step - 1) / step, x.cols, x.stride * step};
    // One place for the key itself.
    const LinkLists found =
        nearest_rows(x, every, step == 1 ? m + 1 : m / 4 + 1, clock, distances, search);
    for (std::uint32_t i = 0; i < x.rows; ++i)
      for (const std::uint32_t row : found[i])
        if (const auto to = static_cast<std::uint32_t>(row * step); to != i) links[i].push_back(to);
  }
  for (auto& list : links) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  return links;
}

// Keys in the metric of the queries of `sets`, on a sphere, so that the key nearest to another has
// the largest inner product with it.
Matrix<float> graph_space(MatView<const float> keys, std::span<const QuerySet> sets, double recent,
                          std::size_t rank) {
  QueryMetric metric = fit_query_metric(keys, sets, kEigenvalueFloor, recent);
  if (rank < keys.cols) reduce_rank(metric, keys, rank);
  return lift_to_sphere(transform_keys(metric, keys).view());
}

// Of the candidates of each key those that no nearer one stands in for, and the links back.
LinkLists choose_links(MatView<const float> x, const LinkLists& candidates, std::size_t kept,
                       std::size_t most, BuildClock& clock, std::int64_t& distances) {
  LinkLists links(candidates.size());
  std::atomic<std::int64_t> total{0};
  clock.parallel(links.size(), 2048, [&](std::size_t first, std::size_t last) {
    OcclusionScratch scratch;
    std::int64_t done = 0;
    for (std::size_t i = first; i < last; ++i)
      done +=
          select_among(x, static_cast<std::uint32_t>(i), candidates[i], kept, scratch, links[i]);
    total += done;
  });
  distances += total;
  return add_reverse_links(x, links, most, true, clock, distances);
}

class QgraphIndex final : public VectorIndex {
 public:
  QgraphIndex(const BuildInput& in, const ParamReader& params);
  QgraphIndex(const BuildInput& in, const ParamReader& params, const IndexState& state);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    auto s = std::make_unique<QgraphScratch>();
    s->heads.resize(heads_.size());
    return s;
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override;
  const BuildStats& build_stats() const override { return stats_; }
  bool sequential() const override { return steps_ + memory_ > 0; }
  void save(IndexState& state) const override;

 private:
  QgraphIndex(const ParamReader& params, const BuildInput& in, std::size_t heads);
  void describe_graphs();
  std::vector<std::uint32_t> cold_entries() const;
  void choose_beams(std::size_t head, MatView<const float> keys, MatView<const float> held_out,
                    const ParamReader& params, std::int64_t& distances);
  std::size_t beam_of(const Head& head, std::size_t worth) const;
  void find_hubs(std::size_t head, const QuerySet& learnt, MatView<const float> keys,
                 const ParamReader& params, BuildClock& clock, std::int64_t& distances);
  void find_entries(std::size_t head, bool full, QgraphScratch& s) const;
  SearchStats search_head(std::size_t head, const float* query, std::size_t k, std::size_t beam,
                          std::size_t below, QgraphScratch& s) const;

  KeyRows keys_;
  std::vector<Graph> graphs_;
  std::vector<Head> heads_;
  std::size_t first_, steps_, memory_, best_, cold_, probes_, beam_, default_worth_;
  float floor_;  // hits
  BuildStats stats_;
};

QgraphIndex::QgraphIndex(const ParamReader& params, const BuildInput& in, std::size_t heads)
    : keys_(in.keys, in.stored),
      heads_(heads),
      first_(size_of(params, "first")),
      steps_(size_of(params, "steps")),
      memory_(size_of(params, "memory")),
      best_(size_of(params, "best")),
      cold_(size_of(params, "cold")),
      probes_(size_of(params, "probes")),
      beam_(size_of(params, "beam")),
      default_worth_(static_cast<std::size_t>(params.integers("worth").front())),
      floor_(1e-3f * static_cast<float>(params.integer("floor") * params.integer("k"))) {
  if (params.choice("metric") == "head")
    for (std::size_t h = 0; h < heads; ++h) heads_[h].graph = h;
}

QgraphIndex::QgraphIndex(const BuildInput& in, const ParamReader& params)
    : QgraphIndex(params, in, in.train.size()) {
  BuildClock clock;
  std::vector<QuerySet> learnt;  // what is not held out
  std::vector<MatView<const float>> held_out;
  for (const QuerySet& set : in.train) {
    const std::size_t m = set.rows.rows, out = std::min(size_of(params, "holdout"), m / 4);
    learnt.push_back({set.rows.row_range(0, m - out)});
    held_out.push_back(set.rows.row_range(m - out, out));
  }
  const double recent = params.number("recent");
  const std::size_t rank = size_of(params, "rank");
  const Matrix<float> common = graph_space(in.keys, learnt, recent, rank);
  const LinkLists nearest = nearest_keys(common.view(), size_of(params, "candidates"), in.search,
                                         clock, stats_.distances);
  stats_.knn_ms = clock.lap_ms();
  graphs_.resize(heads_.back().graph + 1);
  std::vector<std::int64_t> distances(heads_.size());
  const auto make_graph = [&](std::size_t g) {
    const Matrix<float> own =
        heads_.size() > 1 && graphs_.size() > 1
            ? graph_space(in.keys, std::span(learnt).subspan(g, 1), recent, rank)
            : Matrix<float>();
    const MatView<const float> x = own.rows() > 0 ? own.view() : common.view();
    LinkLists links = choose_links(x, nearest, size_of(params, "prune"), size_of(params, "links"),
                                   clock, distances[g]);
    repair(x, cold_entries(), links, distances[g]);
    graphs_[g] = Graph(links);
  };
  // One graph is made by all threads, several are made side by side.
  if (graphs_.size() == 1) {
    make_graph(0);
  } else {
    clock.parallel(graphs_.size(), 1, [&](std::size_t g, std::size_t) { make_graph(g); });
  }
  describe_graphs();
  clock.parallel(heads_.size(), 1, [&](std::size_t h, std::size_t) {
    find_hubs(h, learnt[h], in.keys, params, clock, distances[h]);
    choose_beams(h, in.keys, held_out[h], params, distances[h]);
  });
  stats_.connect_ms = clock.lap_ms();
  stats_.distances += std::accumulate(distances.begin(), distances.end(), std::int64_t{0});
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

void QgraphIndex::describe_graphs() {
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  std::size_t links = 0, reached = 0;
  for (const Graph& graph : graphs_) {
    links += graph.link_count();
    stats_.degree_max = std::max(stats_.degree_max, static_cast<std::int64_t>(graph.max_degree()));
    for (const std::uint8_t mark : reachable_from(graph, cold_entries())) reached += mark;
  }
  const auto all = static_cast<double>(graphs_.size() * keys_.rows());
  stats_.degree_mean = static_cast<double>(links) / all;
  stats_.reachable_frac = static_cast<double>(reached) / all;
}

std::size_t QgraphIndex::memory_bytes() const {
  std::size_t bytes = keys_.bytes();
  for (const Graph& graph : graphs_) bytes += graph.bytes();
  for (const Head& head : heads_) bytes += head.hubs.size() * sizeof(head.hubs[0]);
  return bytes;
}

std::vector<std::uint32_t> QgraphIndex::cold_entries() const {
  std::vector<std::uint32_t> entries;
  for (std::size_t i = 0; i < keys_.rows(); i += cold_)
    entries.push_back(static_cast<std::uint32_t>(i));
  return entries;
}

void QgraphIndex::find_hubs(std::size_t head, const QuerySet& learnt, MatView<const float> keys,
                            const ParamReader& params, BuildClock& clock, std::int64_t& distances) {
  const auto queries = pick_queries({&learnt, 1}, kHubQueries);
  if (queries.empty()) return;
  const KnnTable table = exact_knn(keys, queries, size_of(params, "k"), clock);
  heads_[head].hubs = hub_keys(table, keys.rows, size_of(params, "hubs"));
  distances += static_cast<std::int64_t>(queries.size() * keys.rows);
}

void QgraphIndex::find_entries(std::size_t head, bool full, QgraphScratch& s) const {
  QgraphScratch::Past& past = s.heads[head];
  s.entries = heads_[head].hubs;
  s.named.clear();
  if (full || past.hits.empty()) {
    const auto cold = cold_entries();
    s.entries.insert(s.entries.end(), cold.begin(), cold.end());
  }
  for (std::size_t i = 0; i < past.hits.size(); ++i) {
    const auto& hits = past.hits[i];
    const std::size_t taken = i < steps_ ? hits.size() : std::min(best_, hits.size());
    const auto rest = hits.begin() + static_cast<std::ptrdiff_t>(taken);
    s.entries.insert(s.entries.end(), hits.begin(), rest);
    s.named.insert(s.named.end(), rest, hits.end());
  }
  // Multiples of the golden ratio: spread evenly, whatever their number.
  for (std::size_t i = 0; i < probes_; ++i)
    s.entries.push_back(static_cast<std::uint32_t>(
        (std::uint64_t{past.probes++ * 2654435769u} * keys_.rows()) >> 32));
}

SearchStats QgraphIndex::search_head(std::size_t head, const float* query, std::size_t k,
                                     std::size_t beam, std::size_t below, QgraphScratch& s) const {
  QgraphScratch::Past& past = s.heads[head];
  BeamParams params{
      .beam = beam, .keep = std::max(beam, k), .below = static_cast<std::uint32_t>(below)};
  const bool full = beam >= keys_.rows();
  find_entries(head, full, s);
  if (!full) {
    params.first = first_;
    params.named = s.named;
  }
  const BeamCounts counts =
      beam_search(graphs_[heads_[head].graph], keys_, query, s.entries, params, s.beam);
  SearchStats stats;
  stats.distances = counts.distances;
  stats.hops = counts.hops;
  stats.bytes = counts.distances * static_cast<std::int64_t>(keys_.row_bytes());
  if (!sequential()) return stats;
  std::vector<std::uint32_t> found;
  if (past.hits.size() == steps_ + memory_) {
    found = std::move(past.hits.back());
    past.hits.pop_back();
    found.clear();
  }
  for (std::size_t i = 0; i < std::min(k, s.beam.pool.size()); ++i)
    found.push_back(s.beam.pool[i].id);
  past.hits.push_front(std::move(found));
  return stats;
}

// Searches the held-out queries with wider and wider beams, until they find nearly all or more is
// too dear.
void QgraphIndex::choose_beams(std::size_t head, MatView<const float> keys,
                               MatView<const float> held_out, const ParamReader& params,
                               std::int64_t& distances) {
  if (held_out.rows < 2 || beam_ > 0) return;
  const std::size_t n = keys.rows, counted = n - std::min(size_of(params, "gap"), n / 8);
  const std::size_t k = std::min(size_of(params, "k"), counted);
  std::vector<float> scores(n), least(held_out.rows);  // the k-th best score of each query
  std::vector<Hit> best;
  for (std::size_t i = 0; i < held_out.rows; ++i) {
    keys_.score_range(held_out.row_range(i, 1), 0, counted, scores.data(), counted);
    TopK top;
    top.reset(k);
    top.push_range(scores.data(), counted, 0u);
    top.finish(best);
    least[i] = best.back().score;
  }
  distances += static_cast<std::int64_t>(held_out.rows * counted);
  constexpr float kDearest = 1000;  // inner products for a hit
  auto& points = heads_[head].points;
  for (std::size_t beam = std::max<std::size_t>(k / 4, 1); beam < n / 2; beam += beam / 3 + 1) {
    const auto scratch = make_scratch();
    auto& s = static_cast<QgraphScratch&>(*scratch);
    std::int64_t done = 0;
    std::size_t found = 0;
    for (std::size_t i = 0; i < held_out.rows; ++i) {
      const auto cost = search_head(head, held_out.row(i), k, beam, counted, s).distances;
      distances += cost;
      if (i == 0) continue;  // it started cold
      done += cost;
      for (std::size_t j = 0; j < std::min(k, s.beam.pool.size()); ++j)
        found += s.beam.pool[j].score >= least[i];
    }
    const auto queries = static_cast<float>(held_out.rows - 1);
    points.push_back(
        {beam, static_cast<float>(found) / queries, static_cast<float>(done) / queries});
    if (points.back().hits > 0.998f * static_cast<float>(k)) return;
    if (points.size() < 2 || points.back().hits < floor_) continue;
    const BeamPoint &a = points[points.size() - 2], &b = points.back();
    if (kDearest * (b.hits - a.hits) < b.distances - a.distances) return;
  }
}

std::size_t QgraphIndex::beam_of(const Head& head, std::size_t worth) const {
  const std::size_t n = keys_.rows();
  if (worth >= n) return n;
  if (beam_ > 0) return beam_;
  if (head.points.empty()) return std::min<std::size_t>(n, 200);
  const auto gain = [&](const BeamPoint& p) {
    return static_cast<float>(worth) * p.hits - p.distances;
  };
  const BeamPoint* best = &head.points.back();
  for (auto p = head.points.rbegin(); p != head.points.rend(); ++p)
    if (p->hits >= floor_ && gain(*p) >= gain(*best)) best = &*p;
  return best->beam;
}

SearchStats QgraphIndex::search(MatView<const float> queries, const SearchParams& p,
                                SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  RA_CHECK(p.heads.empty() || p.heads.size() == queries.rows);
  auto& s = static_cast<QgraphScratch&>(scratch);
  const auto k = static_cast<std::size_t>(p.k);
  const std::size_t worth = p.effort > 0 ? static_cast<std::size_t>(p.effort) : default_worth_;
  SearchStats stats;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    const std::size_t head = (p.heads.empty() ? r : p.heads[r]) % heads_.size();
    stats += search_head(head, queries.row(r), k, beam_of(heads_[head], worth), keys_.rows(), s);
    hits[r].clear();
    for (std::size_t i = 0; i < std::min(k, s.beam.pool.size()); ++i)
      hits[r].push_back({s.beam.pool[i].id, s.beam.pool[i].score});
  }
  return stats;
}

void QgraphIndex::save(IndexState& state) const {
  auto &degrees = state.arrays["degrees"], &links = state.arrays["links"];
  for (const Graph& graph : graphs_)
    for (std::uint32_t i = 0; i < graph.size(); ++i) {
      const auto list = graph.links(i);
      degrees.push_back(static_cast<std::uint32_t>(list.size()));
      links.insert(links.end(), list.begin(), list.end());
    }
  auto &points = state.arrays["points"], &beams = state.arrays["beams"];
  auto &hub_counts = state.arrays["hub_counts"], &hubs = state.arrays["hubs"];
  std::vector<float> hits, distances;
  for (const Head& head : heads_) {
    hub_counts.push_back(static_cast<std::uint32_t>(head.hubs.size()));
    hubs.insert(hubs.end(), head.hubs.begin(), head.hubs.end());
    points.push_back(static_cast<std::uint32_t>(head.points.size()));
    for (const BeamPoint& p : head.points) {
      beams.push_back(static_cast<std::uint32_t>(p.beam));
      hits.push_back(p.hits);
      distances.push_back(p.distances);
    }
  }
  state.put_floats("beam_hits", hits);
  state.put_floats("beam_distances", distances);
}

// Lists that a state holds end to end, their lengths in another array.
class ListReader {
 public:
  ListReader(const IndexState& state, std::string_view sizes, const std::vector<std::uint32_t>& all,
             std::size_t lists)
      : name_(sizes), sizes_(state.array(sizes, lists)), all_(all) {}
  std::vector<std::uint32_t> take() {
    const std::size_t size = sizes_[list_++];
    if (size > all_.size() - at_)
      refuse_state(name_, fmt::format("list {} has {} elements, {} are left", list_ - 1, size,
                                      all_.size() - at_));
    const auto first = all_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += size;
    return {first, first + static_cast<std::ptrdiff_t>(size)};
  }
  void end() const {
    if (at_ != all_.size()) refuse_state(name_, fmt::format("{} of {} elements", at_, all_.size()));
  }

 private:
  std::string_view name_;
  const std::vector<std::uint32_t>&sizes_, &all_;
  std::size_t list_ = 0, at_ = 0;
};

QgraphIndex::QgraphIndex(const BuildInput& in, const ParamReader& params, const IndexState& state)
    : QgraphIndex(params, in, state.ids("points", kMostHeads).size()) {
  const std::size_t n = in.keys.rows;
  if (heads_.empty() || heads_.size() > kMostHeads)
    refuse_state("points", fmt::format("of {} heads", heads_.size()));
  graphs_.resize(heads_.back().graph + 1);
  ListReader links(state, "degrees", state.ids("links", n), graphs_.size() * n);
  for (Graph& graph : graphs_) {
    LinkLists lists(n);
    for (auto& list : lists) list = links.take();
    graph = Graph(lists);
  }
  links.end();
  ListReader hubs(state, "hub_counts", state.ids("hubs", n), heads_.size());
  ListReader beams(state, "points", state.ids("beams", n), heads_.size());
  const auto& all = state.array("beams");
  const auto found = state.floats("beam_hits", all.size());
  const auto distances = state.floats("beam_distances", all.size());
  std::size_t at = 0;
  for (Head& head : heads_) {
    head.hubs = hubs.take();
    for (const std::uint32_t beam : beams.take()) {
      head.points.push_back({beam, found[at], distances[at]});
      ++at;
    }
  }
  hubs.end();
  beams.end();
  stats_ = state.stats;
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
}

}  // namespace

std::span<const ParamInfo> qgraph_params() { return kParams; }

std::size_t qgraph_bytes(const KeyShape& shape, const ParamReader& params) {
  const std::size_t graphs = params.choice("metric") == "head" ? shape.heads : 1;
  // A key chooses `prune` links, and each may be followed back; a repair adds few.
  const std::size_t links = std::min(size_of(params, "links"), 2 * size_of(params, "prune")) + 1;
  return KeyRows::bytes_of(shape) + graphs * Graph::bytes_of(shape.keys, links * shape.keys) +
         shape.heads * size_of(params, "hubs") * sizeof(std::uint32_t);
}

std::unique_ptr<VectorIndex> build_qgraph(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<QgraphIndex>(in, params);
}

std::unique_ptr<VectorIndex> restore_qgraph(const BuildInput& in, const ParamReader& params,
                                            const IndexState& state) {
  return std::make_unique<QgraphIndex>(in, params, state);
}

}  // namespace ra::index
