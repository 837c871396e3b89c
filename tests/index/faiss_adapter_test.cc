// SPDX-License-Identifier: Apache-2.0
// The baselines are honest: every inner product is counted, results are those of FAISS itself, and
// their order on out-of-distribution queries is the one that is published.
#include "lib/index/faiss_adapter.h"

#include <faiss/IndexHNSW.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "lib/index/query_metric.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

using testing::Found;

// Counts calls on its own, around the distance computer of a FAISS index.
struct Counted final : faiss::DistanceComputer {
  explicit Counted(faiss::DistanceComputer* computer) : inner(computer) {}
  void set_query(const float* x) override { inner->set_query(x); }
  float operator()(idx_t i) override {
    ++calls;
    return sign * (*inner)(i);
  }
  float symmetric_dis(idx_t i, idx_t j) override { return sign * inner->symmetric_dis(i, j); }
  std::unique_ptr<faiss::DistanceComputer> inner;
  float sign = 1;
  std::int64_t calls = 0;
};

class HnswTest : public ::testing::TestWithParam<bool> {};

TEST_P(HnswTest, DistancesAndHitsAreThoseOfFaiss) {
  const bool lifted = GetParam();
  const auto set = testing::ood_set(900, 16, 10, 41);
  const Matrix<float> x =
      lifted ? lift_to_sphere(set.keys.view()) : testing::ood_set(900, 16, 10, 41).keys;
  omp_set_num_threads(1);
  faiss::IndexHNSWFlat faiss_index(static_cast<int>(x.cols()), 8,
                                   lifted ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT);
  faiss_index.hnsw.efConstruction = 40;
  faiss_index.hnsw.rng = faiss::RandomGenerator(1);
  faiss_index.add(900, x.data());
  const auto index =
      testing::build(std::string("hnsw:m=8,ef_construction=40,metric=") + (lifted ? "lift" : "raw"),
                     set.keys.view());
  EXPECT_GT(faiss_index.hnsw.max_level, 0) << "upper layers take part";
  for (const int ef : {5, 30, 200}) {
    const Found found = testing::search(*index, set.test.view(), 10, ef);
    std::int64_t calls = 0, base_layer = 0;
    for (std::size_t i = 0; i < set.test.rows(); ++i) {
      std::vector<float> query(x.cols(), 0);
      std::copy_n(set.test.row(i), 16, query.begin());
      Counted computer(faiss_index.storage->get_distance_computer());
      computer.sign = lifted ? 1.0f : -1.0f;
      computer.set_query(query.data());
      const int results = std::max(ef, 10);
      std::vector<faiss::Index::idx_t> labels(static_cast<std::size_t>(results), -1);
      std::vector<float> distances(labels.size());
      faiss::VisitedTable visited(900);
      faiss::SearchParametersHNSW options;
      options.efSearch = ef;
      const auto stats = faiss_index.hnsw.search(computer, results, labels.data(), distances.data(),
                                                 visited, &options);
      calls += computer.calls;
      base_layer += static_cast<std::int64_t>(stats.n3);
      std::vector<Hit> hits;  // FAISS leaves them in heap order
      for (std::size_t j = 0; j < labels.size(); ++j)
        if (labels[j] >= 0) hits.push_back({static_cast<std::uint32_t>(labels[j]), -distances[j]});
      std::sort(hits.begin(), hits.end(), better);
      ASSERT_LE(found.hits[i].size(), hits.size());
      for (std::size_t j = 0; j < found.hits[i].size(); ++j)
        EXPECT_EQ(found.hits[i][j].id, hits[j].id);
    }
    EXPECT_EQ(found.stats.distances, calls);
    EXPECT_GT(found.stats.distances, base_layer) << "entry and upper layers are counted";
  }
}

INSTANTIATE_TEST_SUITE_P(RawAndLifted, HnswTest, ::testing::Bool());

TEST(HnswTest, AWiderBeamThanTheDefaultTakesEffect) {
  const auto set = testing::ood_set(600, 16, 10, 43);
  const auto index = testing::build("hnsw:m=8,ef_construction=40,metric=lift", set.keys.view());
  const auto at = [&](int ef) { return testing::search(*index, set.test.view(), 1, ef); };
  EXPECT_GT(at(100).stats.distances, 2 * at(10).stats.distances)
      << "FAISS bounds its heap by the results asked for";
  EXPECT_GT(at(600).stats.distances, 600 * 50 * 9 / 10);
}

TEST(IvfTest, CountsCentroidsAndMembers) {
  const auto set = testing::ood_set(1000, 16, 10, 45);
  const auto index = testing::build("ivf:lists=40", set.keys.view());
  const Found all = testing::search(*index, set.test.view(), 10, 40);
  EXPECT_EQ(all.stats.distances, static_cast<std::int64_t>(50 * (40 + 1000)));
  EXPECT_EQ(all.stats.hops, 50 * 40);
  const Found one = testing::search(*index, set.test.view(), 1000, 1);
  std::int64_t members = 0;
  for (const auto& hits : one.hits) members += static_cast<std::int64_t>(hits.size());
  EXPECT_EQ(one.stats.distances, 50 * 40 + members) << "k = n returns all of the probed cell";
}

TEST(IvfTest, ProbesTheCellsWithTheBestMeans) {
  const auto set = testing::ood_set(1000, 16, 10, 47);
  const auto index = testing::build("ivf:lists=20", set.keys.view());
  // The hits of probe p that probe p - 1 did not return are the p-th cell; its mean is known then.
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<bool> seen(1000, false);
    double before = 1e30;
    for (int probes = 1; probes <= 20; ++probes) {
      const Found found = testing::search(*index, set.test.view().row_range(i, 1), 1000, probes);
      double sum = 0;
      int count = 0;
      for (const Hit& hit : found.hits[0]) {
        if (seen[hit.id]) continue;
        seen[hit.id] = true;
        sum += hit.score;
        ++count;
      }
      ASSERT_GT(count, 0);
      EXPECT_LE(sum / count, before + 1e-3);
      before = sum / count;
    }
  }
}

TEST(IvfTest, RefusesLiftAndTakesMoreListsThanKeys) {
  EXPECT_ANY_THROW(testing::spec_of("ivf:metric=lift"));
  const auto set = testing::ood_set(30, 8, 10, 49);
  const auto index = testing::build("ivf:lists=1000,probes=1000", set.keys.view());
  for (const auto& hits : testing::search(*index, set.test.view(), 30, 0).hits)
    EXPECT_EQ(hits.size(), 30u);
}

// Recall@20 of the widest search that stays within a share of scored keys.
double recall_at(const testing::OodSet& set, const std::vector<std::vector<Hit>>& truth,
                 const std::string& spec, double scanned) {
  const auto index = testing::build(spec, set.keys.view(), set.train.view());
  std::size_t best = 0;
  for (int effort = 1; effort <= 2048; effort = effort * 5 / 4 + 1) {
    const Found found = testing::search(*index, set.test.view(), 20, effort);
    if (static_cast<double>(found.stats.distances) >
        scanned * static_cast<double>(set.keys.rows() * set.test.rows()))
      break;
    best = 0;
    for (std::size_t i = 0; i < truth.size(); ++i)
      for (const Hit& hit : found.hits[i])
        best += std::any_of(truth[i].begin(), truth[i].end(),
                            [&](const Hit& t) { return t.id == hit.id; });
  }
  return static_cast<double>(best) / static_cast<double>(20 * truth.size());
}

TEST(OutOfDistributionTest, MetricsRankAsPublished) {
  const auto set = testing::ood_set(2000, 32, 1000, 51);
  const auto truth =
      testing::search(*testing::build("flat", set.keys.view()), set.test.view(), 20, 0).hits;
  const double raw = recall_at(set, truth, "hnsw:m=16,ef_construction=60", 0.15);
  const double lift = recall_at(set, truth, "hnsw:m=16,ef_construction=60,metric=lift", 0.15);
  const double query = recall_at(set, truth, "hnsw:m=16,ef_construction=60,metric=query", 0.15);
  const double roar = recall_at(set, truth, "roar:m=16,beam=60,knn=30", 0.15);
  const double cells = recall_at(set, truth, "ivf", 0.2);
  const double query_cells = recall_at(set, truth, "ivf:metric=query", 0.2);
  std::string figures;
  for (const double r : {raw, lift, query, roar, cells, query_cells})
    figures += std::to_string(r) + " ";
  SCOPED_TRACE(figures);
  EXPECT_GT(lift, raw + 0.05);
  EXPECT_GT(query, lift + 0.05);
  EXPECT_GT(roar, lift + 0.05);
  EXPECT_GT(query_cells, cells + 0.05);
}

}  // namespace
}  // namespace ra::index
