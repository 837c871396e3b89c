// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/query_moments.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/core/parallel.h"
#include "lib/core/rng.h"

namespace ra::attention {
namespace {

constexpr std::int64_t kTokens = 100;
constexpr std::size_t kHeads = 3, kDim = 4;

class QueryMomentsTest : public ::testing::Test {
 protected:
  QueryMomentsTest() {
    config_.n_layers = 2;
    config_.n_heads = static_cast<int>(kHeads);
    config_.head_dim = static_cast<int>(kDim);
    Rng rng(1);
    for (std::size_t i = 0; i < kTokens * kHeads * kDim; ++i)
      q_.data()[i] = static_cast<float>(rng.normal());
  }
  void feed(QueryMoments& moments, std::int64_t chunk) const {
    for (std::int64_t pos = 0; pos < kTokens; pos += chunk)
      for (int layer = 0; layer < 2; ++layer) {
        const auto rows = static_cast<std::size_t>(std::min(chunk, kTokens - pos));
        moments.on_qkv({.layer = layer,
                        .pos = pos,
                        .q = q_.view().row_range(static_cast<std::size_t>(pos), rows),
                        .k = {},
                        .v = {}});
      }
  }
  // Over every 4th position of [begin, end).
  void expect_mean(const Matrix<float>& got, int head, std::int64_t begin, std::int64_t end) const {
    ASSERT_EQ(got.rows(), kDim);
    for (std::size_t a = 0; a < kDim; ++a)
      for (std::size_t b = 0; b < kDim; ++b) {
        double sum = 0, count = 0;
        for (std::int64_t pos = (begin + 3) / 4 * 4; pos < end; pos += 4, ++count) {
          const float* row =
              q_.row(static_cast<std::size_t>(pos)) + static_cast<std::size_t>(head) * kDim;
          sum += static_cast<double>(row[a]) * row[b];
        }
        EXPECT_NEAR(got.row(a)[b], sum / count, 1e-5) << a << " " << b;
      }
  }

  model::Config config_;
  Matrix<float> q_{kTokens, kHeads* kDim};
};

TEST_F(QueryMomentsTest, SumsEveryFourthPositionOfASpan) {
  for (const std::int64_t chunk : {100, 32, 7}) {
    QueryMoments moments(config_, 40);
    feed(moments, chunk);
    EXPECT_EQ(moments.queries(), 25);
    for (int head = 0; head < 3; ++head) {
      expect_mean(moments.mean(1, head, 0, 40), head, 0, 40);
      expect_mean(moments.mean(1, head, 5, 45), head, 0, 40);  // the span that is over by then
      expect_mean(moments.mean(0, head, 40, 80), head, 40, 80);
      expect_mean(moments.mean(0, head, 0, 80), head, 0, 80);
    }
  }
}

TEST_F(QueryMomentsTest, TooFewQueriesTakeEarlierOnes) {
  QueryMoments moments(config_, 40);
  feed(moments, 50);
  expect_mean(moments.mean(1, 2, 85, 100), 2, 40, 100);  // 5 queries in the last span, 8 are wanted
  QueryMoments fine(config_, 8);
  feed(fine, 50);
  expect_mean(fine.mean(1, 0, 8, 16), 0, 0, 16);  // all there are
}

TEST_F(QueryMomentsTest, TheSameForAnyNumberOfThreads) {
  std::vector<Matrix<float>> means;
  for (const int n : {1, 3}) {
    set_threads(n);
    QueryMoments moments(config_, 64);
    feed(moments, 25);
    means.push_back(moments.mean(1, 1, 0, 64));
    EXPECT_EQ(moments.bytes(), 2u * 2 * kHeads * kDim * kDim * sizeof(float));
  }
  set_threads(0);
  for (std::size_t i = 0; i < kDim * kDim; ++i) EXPECT_EQ(means[0].data()[i], means[1].data()[i]);
}

}  // namespace
}  // namespace ra::attention
