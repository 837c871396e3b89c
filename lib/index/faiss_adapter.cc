// SPDX-License-Identifier: Apache-2.0
// What is FAISS's here: k-means and assignment (IVF), construction and search of the graph (HNSW).
// Scoring is this project's: a packaged FAISS is built for the oldest CPU, and a baseline should
// not lose for that. It also makes every inner product countable: FAISS leaves out centroids, and
// its HNSW counters leave out upper layers.
#include "lib/index/faiss_adapter.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/utils/utils.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/core/provenance.h"
#include "lib/index/build_clock.h"
#include "lib/index/faiss_blas.h"
#include "lib/index/graph.h"
#include "lib/index/hnsw_params.h"
#include "lib/index/key_store.h"
#include "lib/index/query_metric.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

using Label = faiss::Index::idx_t;

// ---- IVF
// ------------------------------------------------------------------------------------------

constexpr std::array kIvfParams{
    ParamInfo{"lists", "int", "0", 0, 1 << 20, false,
              "cells, at most one per key; 0 = 4 * sqrt(keys)"},
    ParamInfo{"metric", "raw|query", "raw", 0, 0, false,
              "cells by key distance, or by score difference over the training queries"},
    ParamInfo{"iters", "int", "10", 1, 1000, false, "k-means iterations"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"probes", "int", "16", 1, 1 << 20, true, "cells read per query"},
};

std::size_t ivf_lists(std::size_t keys, const ParamReader& params) {
  auto lists = static_cast<std::size_t>(params.integer("lists"));
  if (lists == 0)
    lists = static_cast<std::size_t>(std::lround(4 * std::sqrt(static_cast<double>(keys))));
  return std::clamp<std::size_t>(lists, 1, keys);
}

struct IvfScratch final : SearchScratch {
  std::vector<float> scores;
  TopK best;
  std::vector<Hit> cells;
};

// Cells by L2 k-means; their centroids are ranked by inner product. (FAISS's own inner-product
// training, spherical centroids with assignment by inner product, is a much weaker baseline.) A
// centroid is the mean of the raw keys of its cell also with metric=query: y.c of the transformed
// space equals q.(mean of the raw keys) up to a constant of the query, so searching needs no
// transform.
class IvfIndex final : public VectorIndex {
 public:
  IvfIndex(const BuildInput& in, const ParamReader& params);
  IvfIndex(const BuildInput& in, const ParamReader& params, const IndexState& state);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<IvfScratch>();
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override {
    return centroids_.bytes() + keys_.bytes() + ids_.size() * sizeof(ids_[0]) +
           begin_.size() * sizeof(begin_[0]);
  }
  const BuildStats& build_stats() const override { return stats_; }
  void save(IndexState& state) const override;

 private:
  void fill_cells(MatView<const float> keys, const std::vector<Label>& cell, std::size_t lists);

  Matrix<float> centroids_;  // [cells, dim]; empty cells are dropped
  Matrix<float> keys_;       // [n, dim] in cell order
  std::vector<std::uint32_t> ids_;
  std::vector<std::size_t> begin_;  // [cells + 1]
  int default_probes_;
  BuildStats stats_;
};

IvfIndex::IvfIndex(const BuildInput& in, const ParamReader& params)
    : default_probes_(static_cast<int>(params.integers("probes").front())) {
  keep_one_thread_pool();
  BuildClock clock;
  const std::size_t n = in.keys.rows, dim = in.keys.cols;
  // L2 k-means does not depend on the origin; at the mean its f32 norms cancel least.
  QueryMetric metric =
      fit_query_metric(in.keys, params.choice("metric") == "query" ? std::span(in.train)
                                                                   : std::span<const QuerySet>());
  const Matrix<float> x = transform_keys(metric, in.keys);

  const std::size_t lists = ivf_lists(n, params);
  faiss::ClusteringParameters options;
  options.niter = static_cast<int>(params.integer("iters"));
  options.seed = static_cast<int>(in.seed & 0x7fffffff);
  options.min_points_per_centroid = 1;  // no warnings on stderr
  options.max_points_per_centroid = 1 << 20;
  faiss::Clustering clustering(static_cast<int>(dim), static_cast<int>(lists), options);
  faiss::IndexFlatL2 centers(static_cast<Label>(dim));
  clustering.train(static_cast<Label>(n), x.data(), centers);
  std::vector<Label> cell(n);
  std::vector<float> distance(n);
  centers.search(static_cast<Label>(n), x.data(), 1, distance.data(), cell.data());
  stats_.distances = static_cast<std::int64_t>(n * lists) * (options.niter + 1);
  fill_cells(in.keys, cell, lists);
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

// State: the cell of each key. Centroids are means of their cells.
IvfIndex::IvfIndex(const BuildInput& in, const ParamReader& params, const IndexState& state)
    : default_probes_(static_cast<int>(params.integers("probes").front())), stats_(state.stats) {
  const std::size_t n = in.keys.rows;
  (void)state.array("cell", n);
  const auto& cell = state.ids("cell", n);  // at most one cell per key
  fill_cells(in.keys, {cell.begin(), cell.end()}, n);
}

void IvfIndex::save(IndexState& state) const {
  std::vector<std::uint32_t> cell(ids_.size());
  for (std::size_t c = 0; c + 1 < begin_.size(); ++c)
    for (std::size_t i = begin_[c]; i < begin_[c + 1]; ++i)
      cell[ids_[i]] = static_cast<std::uint32_t>(c);
  state.arrays["cell"] = std::move(cell);
}

void IvfIndex::fill_cells(MatView<const float> keys, const std::vector<Label>& cell,
                          std::size_t lists) {
  std::vector<std::size_t> count(lists, 0), renamed(lists, 0);
  for (const Label c : cell) ++count[static_cast<std::size_t>(c)];
  begin_ = {0};
  for (std::size_t c = 0; c < lists; ++c) {
    if (count[c] == 0) continue;
    renamed[c] = begin_.size() - 1;
    begin_.push_back(begin_.back() + count[c]);
  }
  const std::size_t cells = begin_.size() - 1, dim = keys.cols;
  std::vector<std::size_t> place(begin_.begin(), begin_.end() - 1);
  keys_ = Matrix<float>(keys.rows, dim);
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  ids_.resize(keys.rows);
  std::vector<double> sum(cells * dim, 0);
  for (std::size_t i = 0; i < keys.rows; ++i) {
    const std::size_t c = renamed[static_cast<std::size_t>(cell[i])];
    ids_[place[c]] = static_cast<std::uint32_t>(i);
    std::copy_n(keys.row(i), dim, keys_.row(place[c]++));
    for (std::size_t j = 0; j < dim; ++j) sum[c * dim + j] += keys.row(i)[j];
  }
  centroids_ = Matrix<float>(cells, dim);
  for (std::size_t c = 0; c < cells; ++c)
    for (std::size_t j = 0; j < dim; ++j)
      centroids_.row(c)[j] =
          static_cast<float>(sum[c * dim + j] / static_cast<double>(begin_[c + 1] - begin_[c]));
}

SearchStats IvfIndex::search(MatView<const float> queries, const SearchParams& p,
                             SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<IvfScratch&>(scratch);
  const std::size_t cells = centroids_.rows(), dim = keys_.cols();
  const std::size_t probes =
      std::min(cells, static_cast<std::size_t>(p.effort > 0 ? p.effort : default_probes_));
  std::size_t scanned = 0;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    const MatView<const float> query = queries.row_range(r, 1);
    s.scores.resize(std::max(s.scores.size(), cells));
    score_block(query, centroids_.view(), 0, cells, s.scores.data(), cells);
    s.best.reset(probes);
    s.best.push_range(s.scores.data(), cells, std::uint32_t{0});
    s.best.finish(s.cells);
    s.best.reset(static_cast<std::size_t>(p.k));
    for (const Hit& cell : s.cells) {
      const std::size_t first = begin_[cell.id], count = begin_[cell.id + 1] - first;
      s.scores.resize(std::max(s.scores.size(), count));
      score_block(query, keys_.view(), first, count, s.scores.data(), count);
      s.best.push_range(s.scores.data(), count, &ids_[first]);
      scanned += count;
    }
    s.best.finish(hits[r]);
  }
  // The centroids are read once for the group if they stay in cache; cells differ from head to
  // head.
  return {
      .distances = static_cast<std::int64_t>(scanned + cells * queries.rows),
      .bytes = static_cast<std::int64_t>((scanned + cells * queries.rows) * dim * sizeof(float)),
      .hops = static_cast<std::int64_t>(probes * queries.rows)};
}

std::size_t ivf_bytes(const KeyShape& shape, const ParamReader& params) {
  const std::size_t lists = ivf_lists(shape.keys, params), row = shape.dim * sizeof(float);
  return shape.keys * (row + sizeof(std::uint32_t)) + lists * (row + sizeof(std::size_t)) +
         sizeof(std::size_t);
}

std::unique_ptr<VectorIndex> build_ivf(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<IvfIndex>(in, params);
}

std::unique_ptr<VectorIndex> restore_ivf(const BuildInput& in, const ParamReader& params,
                                         const IndexState& state) {
  return std::make_unique<IvfIndex>(in, params, state);
}

// ---- HNSW
// -----------------------------------------------------------------------------------------

// Counts what FAISS computes through it.
class CountingComputer final : public faiss::DistanceComputer {
 public:
  CountingComputer(std::unique_ptr<faiss::DistanceComputer> inner, std::atomic<std::int64_t>& total)
      : inner_(std::move(inner)), total_(total) {}
  ~CountingComputer() override { total_ += count_; }
  void set_query(const float* x) override { inner_->set_query(x); }
  float operator()(Label i) override {
    ++count_;
    return (*inner_)(i);
  }
  float symmetric_dis(Label i, Label j) override {
    ++count_;
    return inner_->symmetric_dis(i, j);
  }

 private:
  std::unique_ptr<faiss::DistanceComputer> inner_;
  std::atomic<std::int64_t>& total_;
  std::int64_t count_ = 0;
};

struct CountingStorage final : faiss::IndexFlat {
  using faiss::IndexFlat::IndexFlat;
  faiss::DistanceComputer* get_distance_computer() const override {
    return new CountingComputer(
        std::unique_ptr<faiss::DistanceComputer>(faiss::IndexFlat::get_distance_computer()), total);
  }
  mutable std::atomic<std::int64_t> total{0};
};

// Distance = -q.k on the raw keys. For one query that is the order of the lifted L2 distance and of
// the query metric as well, so every graph is searched with it and scores come out exact.
class NegativeProduct final : public faiss::DistanceComputer {
 public:
  explicit NegativeProduct(MatView<const float> keys) : keys_(keys) {}
  void set_query(const float* x) override { query_ = x; }
  float operator()(Label i) override {
    ++count;
    return -dot(query_, keys_.row(static_cast<std::size_t>(i)), keys_.cols);
  }
  float symmetric_dis(Label, Label) override { RA_CHECK(!"used by construction only"); }
  std::int64_t count = 0;

 private:
  MatView<const float> keys_;
  const float* query_ = nullptr;
};

struct HnswScratch final : SearchScratch {
  explicit HnswScratch(std::size_t nodes) : visited(static_cast<int>(nodes)) {}
  faiss::VisitedTable visited;
  std::vector<Label> labels;
  std::vector<float> distances;
};

// FAISS inserts with several threads in an order that depends on their timing.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

class HnswIndex final : public VectorIndex {
 public:
  HnswIndex(const BuildInput& in, const ParamReader& params);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<HnswScratch>(keys_.rows());
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override {
    return keys_.bytes() + hnsw_.neighbors.size() * sizeof(hnsw_.neighbors[0]) +
           hnsw_.offsets.size() * sizeof(hnsw_.offsets[0]) +
           hnsw_.levels.size() * sizeof(hnsw_.levels[0]);
  }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  void describe_base_layer();

  Matrix<float> keys_;
  faiss::HNSW hnsw_;
  int default_beam_;
  BuildStats stats_;
};

HnswIndex::HnswIndex(const BuildInput& in, const ParamReader& params)
    : default_beam_(static_cast<int>(params.integers("ef").front())) {
  const OneThread serial;
  BuildClock clock;
  keys_ = copy_rows(in.keys);
  stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
  const Metric metric = parse_metric(params.choice("metric"));
  const Matrix<float> x = graph_vectors(metric, in);
  CountingStorage storage(static_cast<Label>(x.cols()),
                          metric == Metric::kRaw ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2);
  faiss::IndexHNSW index(&storage, static_cast<int>(params.integer("m")));
  index.hnsw.efConstruction = static_cast<int>(params.integer("ef_construction"));
  index.hnsw.rng = faiss::RandomGenerator(static_cast<std::int64_t>(in.seed));
  index.add(static_cast<Label>(x.rows()), x.data());
  hnsw_ = std::move(index.hnsw);
  stats_.distances = storage.total;
  describe_base_layer();
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

void HnswIndex::describe_base_layer() {
  LinkLists links(keys_.rows());
  for (std::size_t i = 0; i < links.size(); ++i) {
    std::size_t begin = 0, end = 0;
    hnsw_.neighbor_range(static_cast<Label>(i), 0, &begin, &end);
    for (; begin < end && hnsw_.neighbors[begin] >= 0; ++begin)
      links[i].push_back(static_cast<std::uint32_t>(hnsw_.neighbors[begin]));
  }
  const auto entry = static_cast<std::uint32_t>(hnsw_.entry_point);
  describe_graph(Graph(links), {&entry, 1}, stats_);
}

SearchStats HnswIndex::search(MatView<const float> queries, const SearchParams& p,
                              SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<HnswScratch&>(scratch);
  const auto n = static_cast<int>(keys_.rows());
  const int beam = std::min(n, p.effort > 0 ? p.effort : default_beam_);
  // FAISS bounds its candidate heap by the number of results asked for, so that must be the beam.
  const int results = std::min(n, std::max(p.k, beam));
  faiss::SearchParametersHNSW options;
  options.efSearch = beam;
  NegativeProduct product(keys_.view());
  s.labels.resize(static_cast<std::size_t>(results));
  s.distances.resize(static_cast<std::size_t>(results));
  SearchStats stats;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    std::fill(s.labels.begin(), s.labels.end(), -1);
    product.set_query(queries.row(r));
    const faiss::HNSWStats found =
        hnsw_.search(product, results, s.labels.data(), s.distances.data(), s.visited, &options);
    stats.hops += static_cast<std::int64_t>(found.nreorder);
    hits[r].clear();
    for (std::size_t i = 0; i < s.labels.size(); ++i)
      if (s.labels[i] >= 0)
        hits[r].push_back({static_cast<std::uint32_t>(s.labels[i]), -s.distances[i]});
    std::sort(hits[r].begin(), hits[r].end(), better);
    hits[r].resize(std::min(hits[r].size(), static_cast<std::size_t>(p.k)));
  }
  stats.distances = product.count;
  stats.bytes = stats.distances * static_cast<std::int64_t>(keys_.cols() * sizeof(float));
  return stats;
}

std::size_t hnsw_bytes(const KeyShape& shape, const ParamReader& params) {
  // Links, the place of a key's first one, its level.
  return shape.keys * (shape.dim * sizeof(float) + hnsw_links(params) * sizeof(int) +
                       sizeof(std::size_t) + sizeof(int)) +
         sizeof(std::size_t);
}

std::unique_ptr<VectorIndex> build_hnsw(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<HnswIndex>(in, params);
}

}  // namespace

std::span<const IndexType> faiss_index_types() {
  static const std::array types{
      IndexType{.name = "ivf",
                .help = "cells by k-means, the best cells are scanned (FAISS)",
                .params = kIvfParams,
                .effort_key = "probes",
                .query_aware = false,
                .build = build_ivf,
                .restore = restore_ivf,
                .bytes = ivf_bytes},
      IndexType{.name = "hnsw",
                .help = "hierarchical navigable small world graph (FAISS)",
                .params = kHnswParams,
                .effort_key = "ef",
                .query_aware = false,
                .build = build_hnsw,
                .bytes = hnsw_bytes}};
  return types;
}

void note_faiss() {
  std::string options = faiss::get_compile_options();
  while (options.ends_with(' ')) options.pop_back();
  note_library("faiss", fmt::format("{}.{}.{}", FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR,
                                    FAISS_VERSION_PATCH));
  note_library("faiss_options", options);
  note_library("blas", blas_description());
}

}  // namespace ra::index
