// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/random.h"

namespace ra::attention {
namespace {

TEST(Budget, StepsReachFromAQuarterToFourTimesK) {
  for (const int k : {1, 2, 7, 100, 1000}) {
    const auto steps = budget_steps(k);
    EXPECT_EQ(steps.front(), std::max(1, static_cast<int>(std::lround(k / 4.0))));
    EXPECT_EQ(steps.back(), 4 * k);
    EXPECT_TRUE(std::ranges::count(steps, k) == 1);
    for (std::size_t i = 1; i < steps.size(); ++i) EXPECT_GT(steps[i], steps[i - 1]);
  }
}

// Positions 0..39; sink 4, window 8; by plain arithmetic.
TEST(Budget, TheCurveIsTheMassOfTheBestKeys) {
  for (const auto type : {model::KvType::kF32, model::KvType::kInt8}) {
    constexpr std::size_t kDim = 16;
    model::KvCache cache({.layers = 1,
                          .kv_heads = 1,
                          .head_dim = kDim,
                          .value_dim = kDim,
                          .capacity = 40,
                          .type = type});
    const Matrix<float> keys = testing::random_matrix(40, kDim, 1);
    cache.append(0, keys.view(), keys.view());
    const auto rows = cache.rows(0, 0);
    PlacedQueries queries{testing::random_matrix(3, kDim, 2), {5, 20, 39}};
    const std::vector<int> steps{1, 3, 8, 100};
    std::vector<double> want(steps.size());
    for (std::size_t q = 0; q < 3; ++q) {
      std::vector<double> rivals;
      double fixed = 0;
      for (std::int64_t p = 0; p <= queries.positions[q]; ++p) {
        std::vector<float> key(kDim);
        model::widen_key(rows, static_cast<std::size_t>(p), key);
        const double w =
            std::exp(0.5 * std::inner_product(key.begin(), key.end(), queries.rows.row(q), 0.0));
        if (p >= 4 && p < queries.positions[q] - 8) {
          rivals.push_back(w);
        } else {
          fixed += w;
        }
      }
      std::sort(rivals.begin(), rivals.end(), std::greater<>());
      const double all = std::accumulate(rivals.begin(), rivals.end(), fixed);
      for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto n = std::min(rivals.size(), static_cast<std::size_t>(steps[i]));
        want[i] += std::accumulate(rivals.begin(), rivals.begin() + static_cast<std::ptrdiff_t>(n),
                                   fixed) /
                   all / 3;
      }
    }
    const auto curve = mass_curve(rows, queries, {.sink = 4, .window = 8, .scale = 0.5f}, steps);
    for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_NEAR(curve[i], want[i], 1e-5);
    EXPECT_NEAR(curve.back(), 1, 1e-5) << "all keys";
  }
}

std::vector<double> falling_gains(std::span<const int> steps, double mass, double reach) {
  std::vector<double> curve;
  for (const int n : steps) curve.push_back(mass * (1 - std::exp(-n / reach)));
  return curve;
}

TEST(Budget, KeysGoWhereTheyAddMost) {
  const auto steps = budget_steps(40);
  const std::vector<std::vector<double>> curves{falling_gains(steps, 0.9, 5),     // a few keys
                                                falling_gains(steps, 0.8, 200),   // many
                                                falling_gains(steps, 0.1, 200)};  // nothing to get
  const auto shares = share_budget(curves, steps, 40);
  EXPECT_LE(std::accumulate(shares.begin(), shares.end(), 0), 3 * 40);
  EXPECT_GT(std::accumulate(shares.begin(), shares.end(), 0), 3 * 40 * 9 / 10);
  EXPECT_GT(shares[1], 2 * shares[0]);
  EXPECT_GT(shares[1], 2 * shares[2]);
  // No other choice of steps within the budget holds more.
  double best = 0, got = 0;
  const auto at = [&](std::size_t h, int n) {
    return curves[h][static_cast<std::size_t>(std::ranges::find(steps, n) - steps.begin())];
  };
  for (const int a : steps)
    for (const int b : steps)
      for (const int c : steps)
        if (a + b + c <= 120) best = std::max(best, at(0, a) + at(1, b) + at(2, c));
  for (std::size_t h = 0; h < 3; ++h) got += at(h, shares[h]);
  EXPECT_GT(got, 0.995 * best);
}

TEST(Budget, EqualHeadsShareAlike) {
  const auto steps = budget_steps(64);
  const std::vector<std::vector<double>> curves(5, falling_gains(steps, 0.9, 50));
  for (const int share : share_budget(curves, steps, 64)) EXPECT_EQ(share, 64);
  EXPECT_EQ(share_budget({{0.5, 0.6, 0.7, 0.8}}, budget_steps(1), 1), std::vector<int>{1});
}

}  // namespace
}  // namespace ra::attention
