// SPDX-License-Identifier: Apache-2.0
// Construction and search are hnswlib's, inner products this project's: they are counted, and as
// fast as those of the other indexes.
#include "lib/index/hnswlib_adapter.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "lib/core/matrix.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/hnsw_params.h"
#include "lib/index/key_store.h"
#include "lib/index/query_metric.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

thread_local std::int64_t products = 0;  // computed by this thread

// On a sphere the order of this is the order of the L2 distance.
float negative_product(const void* a, const void* b, const void* dim) {
  ++products;
  return -dot(static_cast<const float*>(a), static_cast<const float*>(b),
              *static_cast<const std::size_t*>(dim));
}

class ProductSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit ProductSpace(std::size_t dim) : dim_(dim) {}
  std::size_t get_data_size() override { return dim_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return negative_product; }
  void* get_dist_func_param() override { return &dim_; }

 private:
  std::size_t dim_;
};

class HnswlibIndex final : public VectorIndex {
 public:
  HnswlibIndex(const BuildInput& in, const ParamReader& params);

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<SearchScratch>();
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override { return bytes_; }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  void describe();

  std::size_t keys_, dim_, default_beam_, bytes_ = 0;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
  BuildStats stats_;
};

HnswlibIndex::HnswlibIndex(const BuildInput& in, const ParamReader& params)
    : keys_(in.keys.rows),
      dim_(in.keys.cols),
      default_beam_(static_cast<std::size_t>(params.integers("ef").front())) {
  const BuildClock clock;
  const std::int64_t before = products;
  const Matrix<float> x = graph_vectors(parse_metric(params.choice("metric")), in);
  ProductSpace space(x.cols());
  graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(
      &space, keys_, static_cast<std::size_t>(params.integer("m")),
      static_cast<std::size_t>(params.integer("ef_construction")), in.seed);
  for (std::size_t i = 0; i < keys_; ++i) graph_->addPoint(x.row(i), i);
  stats_.distances = products - before;
  describe();
  // For one query the order of q.k is that of the distance built by, so the graph is searched on
  // the keys themselves and scores come out exact. Keys have the ids of their nodes.
  for (std::size_t i = 0; i < keys_; ++i)
    std::memcpy(graph_->getDataByInternalId(static_cast<hnswlib::tableint>(i)), in.keys.row(i),
                dim_ * sizeof(float));
  graph_->dist_func_param_ = &dim_;
  graph_->ef_ = 1;  // the beam is the number of results asked for
  stats_.build_ms = clock.wall_ms();
  stats_.cpu_s = clock.cpu_s();
}

void HnswlibIndex::describe() {
  LinkLists links(keys_);
  bytes_ = keys_ * graph_->size_data_per_element_;
  for (std::size_t i = 0; i < keys_; ++i) {
    const auto node = static_cast<hnswlib::tableint>(i);
    auto* list = graph_->get_linklist0(node);
    const auto* to = reinterpret_cast<const hnswlib::tableint*>(list + 1);
    links[i].assign(to, to + graph_->getListCount(list));
    bytes_ +=
        static_cast<std::size_t>(graph_->element_levels_[i]) * graph_->size_links_per_element_;
  }
  const std::uint32_t entry = graph_->enterpoint_node_;
  stats_.key_bytes = static_cast<std::int64_t>(keys_ * dim_ * sizeof(float));
  describe_graph(Graph(links), {&entry, 1}, stats_);
}

SearchStats HnswlibIndex::search(MatView<const float> queries, const SearchParams& p,
                                 SearchScratch&, std::span<std::vector<Hit>> hits) const {
  check_search(queries, dim_, p, hits);
  const auto k = static_cast<std::size_t>(p.k);
  const std::size_t beam =
      std::min(keys_, p.effort > 0 ? static_cast<std::size_t>(p.effort) : default_beam_);
  const std::int64_t before = products;
  for (std::size_t r = 0; r < queries.rows; ++r) {
    hits[r].clear();
    if (k == 0) continue;
    auto found = graph_->searchKnn(queries.row(r), std::min(keys_, std::max(beam, k)));
    for (; !found.empty(); found.pop())
      hits[r].push_back({static_cast<std::uint32_t>(found.top().second), -found.top().first});
    std::sort(hits[r].begin(), hits[r].end(), better);
    hits[r].resize(std::min(hits[r].size(), k));
  }
  SearchStats stats;
  stats.distances = products - before;
  stats.bytes = stats.distances * static_cast<std::int64_t>(dim_ * sizeof(float));
  return stats;
}

std::unique_ptr<VectorIndex> build_hnswlib(const BuildInput& in, const ParamReader& params) {
  return std::make_unique<HnswlibIndex>(in, params);
}

std::size_t hnswlib_bytes(const KeyShape& shape, const ParamReader& params) {
  // The key lifted, links, their number and a label; lists of upper layers have a number as well.
  return shape.keys *
         ((shape.dim + 1) * sizeof(float) + (hnsw_links(params) + 2) * sizeof(hnswlib::tableint) +
          sizeof(hnswlib::labeltype));
}

}  // namespace

std::span<const IndexType> hnswlib_index_types() {
  static const std::array types{
      IndexType{.name = "hnswlib",
                .help = "hierarchical navigable small world graph (hnswlib)",
                .params = kHnswParams,
                .effort_key = "ef",
                .build = build_hnswlib,
                .bytes = hnswlib_bytes}};
  return types;
}

}  // namespace ra::index
