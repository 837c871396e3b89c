// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/stats/quantiles.h"

namespace ra::stats {
namespace {

std::vector<double> normals(std::size_t n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<double> x(n);
  for (double& v : x) v = rng.normal();
  return x;
}

TEST(Bootstrap, MeanIntervalHasTheTextbookWidth) {
  const auto x = normals(400, 7);
  const auto [low, high] = bootstrap_mean_ci(x, {.resamples = 4000});
  const Summary s = summarise(x);
  const double half = 1.959964 * s.stddev / std::sqrt(400.0);
  EXPECT_NEAR(low, s.mean - half, 0.1 * half);
  EXPECT_NEAR(high, s.mean + half, 0.1 * half);
}

TEST(Bootstrap, AgreesWithScipyOnAFixture) {
  // scipy.stats.bootstrap((x,), np.mean, method="percentile", n_resamples=200000,
  // confidence_level=.9) gives [2.625, 6.76] to [2.635, 6.775] for three seeds.
  const std::vector<double> x{3.1, -2.0, 7.5, 0.25, 7.5, 11.0, 4.0, 5.5, 1.0, 9.25};
  const auto [low, high] = bootstrap_mean_ci(x, {.resamples = 20000, .confidence = 0.9});
  EXPECT_NEAR(low, 2.63, 0.06);
  EXPECT_NEAR(high, 6.77, 0.06);
}

TEST(Bootstrap, DependsOnTheSeedOnly) {
  const auto x = normals(50, 3);
  const auto median = [](std::span<const double> v) { return quantile({v.begin(), v.end()}, 0.5); };
  set_threads(1);
  const auto one = bootstrap_ci(x, median, {.seed = 11});
  set_threads(3);
  EXPECT_EQ(bootstrap_ci(x, median, {.seed = 11}), one);
  EXPECT_NE(bootstrap_ci(x, median, {.seed = 12}), one);
  set_threads(0);
}

TEST(Bootstrap, CoversTheTrueMeanAboutAsOftenAsPromised) {
  int covered = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto [low, high] = bootstrap_mean_ci(normals(60, 100 + i), {.resamples = 400, .seed = i});
    covered += low <= 0 && 0 <= high ? 1 : 0;
  }
  EXPECT_GE(covered, 178);  // 190 expected, standard deviation 3
  EXPECT_LE(covered, 199);
}

TEST(Bootstrap, BlocksKeepTheSpreadOfADependentSeries) {
  // First-order autoregression: the mean's standard error is that of independent values times
  // sqrt((1 + r) / (1 - r)) = 3 for r = 0.8.
  const auto noise = normals(4000, 11);
  std::vector<double> x(noise.size());
  for (std::size_t i = 1; i < x.size(); ++i) x[i] = 0.8 * x[i - 1] + noise[i];
  const auto width = [&](std::size_t block) {
    const auto [low, high] = block_bootstrap_ci(x, block, [](auto v) { return mean(v); });
    return high - low;
  };
  EXPECT_NEAR(width(100) / width(1), 3, 0.6);
  const auto alone = bootstrap_ci(x, [](auto v) { return mean(v); });
  EXPECT_EQ(width(1), alone.second - alone.first);
}

TEST(Bootstrap, ABlockIsARunOfTheSeries) {
  std::vector<double> x(10);
  std::iota(x.begin(), x.end(), 0.0);
  const auto jumps = [](std::span<const double> v) {
    double n = 0;
    for (std::size_t i = 1; i < v.size(); ++i) n += v[i] != v[i - 1] + 1;
    return n;
  };
  EXPECT_LE(block_bootstrap_ci(x, 4, jumps, {.confidence = 0.999}).second, 2);  // 4 + 4 + 2
  EXPECT_EQ(block_bootstrap_ci(x, 10, jumps).second, 0);
  EXPECT_DEATH(block_bootstrap_ci(x, 11, jumps), "block");
}

}  // namespace
}  // namespace ra::stats
