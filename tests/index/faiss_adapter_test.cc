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
      for (std::size_t j = 0; j < found.hits[i].size(); ++j)
        EXPECT_EQ(found.hits[i][j].id, static_cast<std::uint32_t>(labels[j]));
    }
    EXPECT_EQ(found.stats.distances, calls);
    EXPECT_GT(found.stats.distances, base_layer) << "entry and upper layers are counted";
  }
}

INSTANTIATE_TEST_SUITE_P(RawAndLifted, HnswTest, ::testing::Bool());

TEST(HnswTest, AWiderBeamThanTheDefaultTakesEffect) {
  const auto set = testing::ood_set(2000, 16, 10, 43);
  const auto index = testing::build("hnsw:m=8,ef_construction=40,metric=lift", set.keys.view());
  const auto at = [&](int ef) { return testing::search(*index, set.test.view(), 1, ef); };
  EXPECT_GT(at(200).stats.distances, 2 * at(50).stats.distances)
      << "FAISS bounds its heap by the results asked for";
  EXPECT_GT(at(2000).stats.distances, 2000 * 200 * 9 / 10);
}

TEST(IvfTest, CountsCentroidsAndMembers) {
  const auto set = testing::ood_set(1000, 16, 10, 45);
  const auto index = testing::build("ivf:lists=40", set.keys.view());
  const Found all = testing::search(*index, set.test.view(), 10, 40);
  EXPECT_EQ(all.stats.distances, static_cast<std::int64_t>(200 * (40 + 1000)));
  EXPECT_EQ(all.stats.hops, 200 * 40);
  const Found one = testing::search(*index, set.test.view(), 1000, 1);
  std::int64_t members = 0;
  for (const auto& hits : one.hits) members += static_cast<std::int64_t>(hits.size());
  EXPECT_EQ(one.stats.distances, 200 * 40 + members) << "k = n returns all of the probed cell";
}

TEST(IvfTest, ProbesTheCellsWithTheBestMeans) {
  const auto set = testing::ood_set(1000, 16, 10, 47);
  const auto index = testing::build("ivf:lists=20", set.keys.view());
  // The hits of probe p that probe p - 1 did not return are the p-th cell; its mean is known then.
  for (std::size_t i = 0; i < 20; ++i) {
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

double recall_at(const testing::OodSet& set, const std::string& spec, double scanned) {
  const auto index = testing::build(spec, set.keys.view(), set.train.view());
  double best = 0;
  for (int effort = 1; effort <= 2048; effort = effort * 5 / 4 + 1) {
    const Found found = testing::search(*index, set.test.view(), 20, effort);
    if (static_cast<double>(found.stats.distances) >
        scanned * static_cast<double>(set.keys.rows() * set.test.rows()))
      break;
    best = testing::recall(set.keys.view(), set.test.view(), found, 20);
  }
  return best;
}

TEST(OutOfDistributionTest, MetricsRankAsPublished) {
  const auto set = testing::ood_set(3000, 32, 2000, 51);
  const double raw = recall_at(set, "hnsw:m=16,ef_construction=80", 0.1);
  const double lift = recall_at(set, "hnsw:m=16,ef_construction=80,metric=lift", 0.1);
  const double query = recall_at(set, "hnsw:m=16,ef_construction=80,metric=query", 0.1);
  const double cells = recall_at(set, "ivf", 0.15);
  const double query_cells = recall_at(set, "ivf:metric=query", 0.15);
  RecordProperty("recalls", std::to_string(raw) + " " + std::to_string(lift) + " " +
                                std::to_string(query) + " " + std::to_string(cells) + " " +
                                std::to_string(query_cells));
  EXPECT_GT(lift, raw + 0.05);
  EXPECT_GT(query, lift + 0.05);
  EXPECT_GT(query_cells, cells + 0.05);
}

}  // namespace
}  // namespace ra::index
