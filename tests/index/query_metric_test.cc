// SPDX-License-Identifier: Apache-2.0
#include "lib/index/query_metric.h"

#include <gtest/gtest.h>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

class QueryMetricTest : public ::testing::Test {
 protected:
  const testing::OodSet set_ = testing::ood_set(400, 12, 500, 21);
  const std::vector<QuerySet> train_{{set_.train.view()}};
};

TEST_F(QueryMetricTest, KeepsInnerProductsUpToTheMean) {
  const QueryMetric metric = fit_query_metric(set_.keys.view(), train_);
  const Matrix<float> x = transform_keys(metric, set_.keys.view());
  for (std::size_t i = 0; i < 20; ++i) {
    const float* q = set_.test.row(i);
    const auto y = transform_query(metric, q);
    for (std::size_t j = 0; j < 400; j += 7)
      EXPECT_NEAR(dot(y.data(), x.row(j), 12),
                  dot(q, set_.keys.row(j), 12) - dot(q, metric.mean.data(), 12), 2e-3);
  }
}

TEST_F(QueryMetricTest, DistanceIsRmsScoreDifference) {
  const QueryMetric metric = fit_query_metric(set_.keys.view(), train_, 1e-9);
  const Matrix<float> x = transform_keys(metric, set_.keys.view());
  for (std::size_t a = 0; a < 50; ++a) {
    const std::size_t b = a + 100;
    double squared = 0, distance = 0;
    for (std::size_t i = 0; i < 500; ++i) {
      const double difference = dot(set_.train.row(i), set_.keys.row(a), 12) -
                                dot(set_.train.row(i), set_.keys.row(b), 12);
      squared += difference * difference / 500;
    }
    for (std::size_t j = 0; j < 12; ++j)
      distance += std::pow(static_cast<double>(x.row(a)[j]) - x.row(b)[j], 2);
    EXPECT_NEAR(distance, squared, 1e-3 * squared);
  }
}

TEST_F(QueryMetricTest, HeadsOfAGroupCountAlikeWhateverTheirScale) {
  Matrix<float> loud(500, 12);
  for (std::size_t i = 0; i < 500 * 12; ++i) loud.data()[i] = 30 * set_.train.data()[i];
  const auto other = testing::gaussian(500, 12, 5);
  const std::vector<QuerySet> two{{set_.train.view()}, {other.view()}},
      scaled{{loud.view()}, {other.view()}};
  const QueryMetric a = fit_query_metric(set_.keys.view(), two);
  const QueryMetric b = fit_query_metric(set_.keys.view(), scaled);
  const float ratio = b.a.row(0)[0] / a.a.row(0)[0];
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < 12; ++j)
      EXPECT_NEAR(b.a.row(i)[j], ratio * a.a.row(i)[j], 1e-4 * ratio);
}

TEST_F(QueryMetricTest, MayUseTheLastQueriesOnly) {
  const std::vector<QuerySet> last{{set_.train.view().row_range(400, 100)}};
  const QueryMetric a = fit_query_metric(set_.keys.view(), train_, kEigenvalueFloor, 0.2);
  const QueryMetric b = fit_query_metric(set_.keys.view(), last);
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < 12; ++j) EXPECT_EQ(a.a.row(i)[j], b.a.row(i)[j]);
}

TEST_F(QueryMetricTest, PrincipalAxesAreOrthonormalAndSorted) {
  const Matrix<float> axes = principal_axes(set_.keys.view(), 5);
  ASSERT_EQ(axes.rows(), 5u);
  double previous = 1e30;
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = 0; b < 5; ++b)
      EXPECT_NEAR(dot(axes.row(a), axes.row(b), 12), a == b ? 1 : 0, 1e-5);
    double square = 0;
    for (std::size_t i = 0; i < 400; ++i)
      square += std::pow(dot(axes.row(a), set_.keys.row(i), 12), 2);
    EXPECT_LE(square, previous);
    previous = square * (1 + 1e-5);
  }
}

TEST_F(QueryMetricTest, FloorsDirectionsThatNoQueryLooksAt) {
  Matrix<float> one_direction(50, 12);
  for (std::size_t i = 0; i < 50; ++i) one_direction.row(i)[3] = 2;  // C = diag(0, .., 4, .., 0)
  const std::vector<QuerySet> train{{one_direction.view()}};
  const QueryMetric metric = fit_query_metric(set_.keys.view(), train);
  EXPECT_NEAR(metric.a.row(3)[3], 2, 1e-5);
  EXPECT_NEAR(metric.a.row(0)[0], 2 * std::sqrt(1e-3), 1e-5);
  EXPECT_NEAR(metric.a_inverse.row(0)[0], 1 / (2 * std::sqrt(1e-3)), 1e-3);
  EXPECT_NEAR(metric.eigenvalues.back(), 4, 1e-9);
}

TEST_F(QueryMetricTest, NoQueriesGiveTheIdentity) {
  const QueryMetric metric = fit_query_metric(set_.keys.view(), {});
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < 12; ++j) EXPECT_NEAR(metric.a.row(i)[j], i == j ? 1 : 0, 1e-6);
}

TEST_F(QueryMetricTest, CentredGraphVectorsAreThoseWithoutQueries) {
  const BuildInput taught{.keys = set_.keys.view(), .train = train_},
      bare{.keys = set_.keys.view()};
  const Matrix<float> centred = graph_vectors(Metric::kCentred, taught),
                      untaught = graph_vectors(Metric::kQuery, bare),
                      query = graph_vectors(Metric::kQuery, taught);
  const QueryMetric identity = fit_query_metric(set_.keys.view(), {});
  double other = 0;
  for (std::size_t i = 0; i < 400; i += 37)
    for (std::size_t j = 0; j < 12; ++j) {
      EXPECT_EQ(centred.row(i)[j], untaught.row(i)[j]);
      EXPECT_NEAR(centred.row(i)[j], set_.keys.row(i)[j] - identity.mean[j], 1e-5);
      other += std::abs(centred.row(i)[j] - query.row(i)[j]);
    }
  EXPECT_GT(other, 1);
}

TEST_F(QueryMetricTest, LiftGivesAllRowsTheLargestNorm) {
  const Matrix<float> lifted = lift_to_sphere(set_.keys.view());
  ASSERT_EQ(lifted.cols(), 13u);
  float largest = 0;
  for (std::size_t i = 0; i < 400; ++i)
    largest = std::max(largest, dot(set_.keys.row(i), set_.keys.row(i), 12));
  for (std::size_t i = 0; i < 400; ++i) {
    EXPECT_NEAR(dot(lifted.row(i), lifted.row(i), 13), largest, 1e-5 * largest);
    EXPECT_TRUE(std::equal(set_.keys.row(i), set_.keys.row(i) + 12, lifted.row(i)));
  }
}

TEST_F(QueryMetricTest, AReducedRankKeepsTheLargestDistances) {
  const auto set = testing::ood_set(400, 16, 200, 3);
  const QuerySet train[] = {{set.train.view(), {}}};
  QueryMetric metric = fit_query_metric(set.keys.view(), train);
  const Matrix<float> whole = transform_keys(metric, set.keys.view());
  reduce_rank(metric, set.keys.view(), 6);
  const Matrix<float> part = transform_keys(metric, set.keys.view());
  ASSERT_EQ(part.cols(), 6u);
  double kept = 0, all = 0;
  for (std::size_t i = 0; i < 400; ++i) {
    for (std::size_t j = 0; j < 6; ++j) kept += std::pow(static_cast<double>(part.row(i)[j]), 2);
    for (std::size_t j = 0; j < 16; ++j) all += std::pow(static_cast<double>(whole.row(i)[j]), 2);
  }
  EXPECT_GT(kept, 0.9 * all) << "queries look at four dimensions";
  EXPECT_LT(kept, all);
}

}  // namespace
}  // namespace ra::index
