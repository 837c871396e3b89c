// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
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

}  // namespace
}  // namespace ra::stats
