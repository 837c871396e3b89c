// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// Correlation over the keys of approximate and exact scores, mean over the queries.
double correlation(const KeyCodes& codes, const Matrix<float>& keys, const Matrix<float>& queries) {
  std::vector<std::int8_t> q(queries.rows() * codes.rank());
  std::vector<float> units;
  for (std::size_t r = 0; r < queries.rows(); ++r)
    units.push_back(codes.encode(queries.row(r), &q[r * codes.rank()]));
  const std::size_t n = keys.rows(), stride = codes.blocks() * kernels::kCodeKeys;
  std::vector<float> out(queries.rows() * stride);
  codes.score_first(q.data(), queries.rows(), codes.blocks(), out.data(), stride);
  double total = 0;
  for (std::size_t r = 0; r < queries.rows(); ++r) {
    double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double x = out[r * stride + i];
      const double y = dot(queries.row(r), keys.row(i), keys.cols());
      a += x, b += y, aa += x * x, bb += y * y, ab += x * y;
    }
    if (r == 0 && codes.rank() >= keys.cols()) {
      const double scale = (units[r] * ab - units[r] * a * b / static_cast<double>(n)) /
                           (bb - b * b / static_cast<double>(n));
      EXPECT_NEAR(scale, 1, 0.4) << "units turn sums into scores";
    }
    const double m = static_cast<double>(n);
    total += (ab - a * b / m) / std::sqrt((aa - a * a / m) * (bb - b * b / m));
  }
  return total / static_cast<double>(queries.rows());
}

TEST(KeyCodesTest, ApproximatesScoresAtEachWidth) {
  const auto set = testing::ood_set(333, 20, 200, 1);
  const CodeSpace space = plain_space(set.keys.view());
  EXPECT_GT(correlation(KeyCodes(space, set.keys.view(), 8), set.keys, set.test), 0.9995);
  EXPECT_GT(correlation(KeyCodes(space, set.keys.view(), 4), set.keys, set.test), 0.97);
}

TEST(KeyCodesTest, LowRankFollowsTheQueries) {
  // Queries look at a quarter of the dimensions, where the keys vary less than elsewhere.
  auto set = testing::ood_set(500, 32, 300, 2);
  for (std::size_t i = 0; i < 500; ++i)
    for (std::size_t j = 8; j < 32; ++j) set.keys.row(i)[j] *= 3;
  const std::vector<QuerySet> train{{set.train.view()}};
  const auto space = [&](std::span<const QuerySet> queries) {
    const QueryMetric metric = fit_query_metric(set.keys.view(), queries);
    return low_rank_space(metric, transform_keys(metric, set.keys.view()).view(), 8);
  };
  const CodeSpace aware = space(train), blind = space({});
  const KeyCodes a(aware, set.keys.view(), 8), b(blind, set.keys.view(), 8);
  EXPECT_EQ(a.rank(), 8u);
  EXPECT_GT(correlation(a, set.keys, set.test), 0.98);
  EXPECT_LT(correlation(b, set.keys, set.test), 0.8);
}

TEST(KeyCodesTest, BlocksMayBePicked) {
  const auto set = testing::ood_set(70, 8, 50, 3);
  const KeyCodes codes(plain_space(set.keys.view()), set.keys.view(), 8);
  std::int8_t q[8];
  EXPECT_GT(codes.encode(set.test.row(0), q), 0);
  std::vector<float> all(80), picked(32);
  codes.score_first(q, 1, codes.blocks(), all.data(), 80);
  const std::uint32_t blocks[] = {3, 1};
  codes.score(q, 1, blocks, picked.data(), 32);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(picked[i], all[48 + i]);
    EXPECT_EQ(picked[16 + i], all[16 + i]);
  }
}

TEST(KeyCodesTest, DecodesToWithinHalfAStep) {
  const auto keys = testing::gaussian(50, 11, 4);  // a rank that is padded
  const CodeSpace space = plain_space(keys.view());
  for (const int bits : {8, 4}) {
    const KeyCodes codes(space, keys.view(), bits);
    std::vector<float> row(codes.rank());
    double square = 0;
    for (std::size_t i = 0; i < 50; ++i) {
      codes.decode(i, row.data());
      for (std::size_t j = 0; j < 11; ++j)
        square += std::pow(row[j] + space.mean[j] - keys.row(i)[j], 2);
    }
    EXPECT_LT(std::sqrt(square / 550), bits == 8 ? 0.01 : 0.15) << bits << " bits";
  }
}

TEST(KeyCodesTest, ConstantKeysAndZeroQueriesScoreZero) {
  Matrix<float> keys(20, 8), query(1, 8);
  std::fill_n(keys.data(), 160, 0.5f);
  for (const int bits : {8, 4}) {
    const KeyCodes codes(plain_space(keys.view()), keys.view(), bits);
    std::int8_t q[8];
    EXPECT_EQ(codes.encode(query.row(0), q), 0);
    std::vector<float> out(32, 1.0f);
    codes.score_first(q, 1, codes.blocks(), out.data(), 32);
    for (const float v : out) EXPECT_EQ(v, 0);
  }
}

TEST(KeyCodesTest, AtLeastLeavesPaddingOut) {
  const auto set = testing::ood_set(70, 8, 1, 9);
  const KeyCodes codes(plain_space(set.keys.view()), set.keys.view(), 4);
  std::vector<std::int8_t> q(2 * codes.rank());
  for (std::size_t r = 0; r < 2; ++r) codes.encode(set.test.row(r), &q[r * codes.rank()]);
  std::vector<float> scores(2 * 80);
  codes.score_first(q.data(), 2, 5, scores.data(), 80);
  const float floors[] = {scores[20], scores[80 + 69]};
  std::vector<std::uint32_t> want, rows(80);
  for (std::uint32_t i = 16; i < 70; ++i)
    if (scores[i] >= floors[0] || scores[80 + i] >= floors[1]) want.push_back(i);
  rows.resize(codes.at_least_from(q.data(), 2, 1, floors, rows.data()));
  EXPECT_EQ(rows, want);
  const std::uint32_t blocks[] = {1, 2, 3, 4};
  rows.resize(80);
  rows.resize(codes.at_least(q.data(), 2, blocks, floors, rows.data()));
  EXPECT_EQ(rows, want);
  const float lowest[] = {-std::numeric_limits<float>::infinity(), scores[80]};
  rows.resize(80);
  EXPECT_EQ(codes.at_least_from(q.data(), 2, 0, lowest, rows.data()), 70u);
}

}  // namespace
}  // namespace ra::index
