// SPDX-License-Identifier: Apache-2.0
#include "lib/model/sampler.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/error.h"

namespace ra::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Sampler, GreedyTakesTheHighestAndTheLowerIdOfATie) {
  EXPECT_EQ(sample(std::array{0.f, 3.f, 1.f, 3.f}, {}, 0), 1);
  EXPECT_EQ(sample(std::array{-kInf, -7.f, -kInf}, {}, 0), 1);
}

TEST(Sampler, RefusesNanAndAllInfinite) {
  for (const auto& bad : {std::array{1.f, kNan}, std::array{kInf, 1.f}, std::array{-kInf, -kInf}})
    for (const double temperature : {0.0, 1.0}) {
      try {
        sample(bad, {.temperature = temperature}, 0);
        ADD_FAILURE() << "accepted " << bad[0] << " " << bad[1];
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), Exit::kBadData);
      }
    }
}

TEST(Sampler, DrawsInProportionToSoftmax) {
  const std::array logits{std::log(1.f), std::log(2.f), -kInf, std::log(5.f)};
  for (const double temperature : {1.0, 0.5}) {
    std::array<double, 4> want{}, seen{};
    double sum = 0;
    for (std::size_t i = 0; i < 4; ++i) sum += want[i] = std::exp(logits[i] / temperature);
    constexpr int kDraws = 20000;
    for (int step = 0; step < kDraws; ++step)
      seen[sample(logits, {.temperature = temperature, .seed = 7}, step)] += 1.0 / kDraws;
    for (std::size_t i = 0; i < 4; ++i)  // five standard deviations of a share
      EXPECT_NEAR(seen[i], want[i] / sum, 5 * 0.5 / std::sqrt(kDraws)) << i;
    EXPECT_EQ(seen[2], 0);
  }
}

TEST(Sampler, RepeatsFromItsSeed) {
  const std::vector<float> logits(100, 0.f);
  std::vector<std::int32_t> a, b, other_seed;
  for (std::uint64_t step = 0; step < 20; ++step) {
    a.push_back(sample(logits, {.temperature = 1, .seed = 3}, step));
    b.push_back(sample(logits, {.temperature = 1, .seed = 3}, step));
    other_seed.push_back(sample(logits, {.temperature = 1, .seed = 4}, step));
  }
  EXPECT_EQ(a, b);
  EXPECT_NE(a, other_seed);
  EXPECT_NE(a, std::vector<std::int32_t>(20, a[0]));
}

TEST(Sampler, NllIsMinusLogSoftmax) {
  EXPECT_NEAR(nll(std::array{0.f, 0.f, 0.f, 0.f}, 2), std::log(4.0), 1e-15);
  EXPECT_NEAR(nll(std::array{1.f, 2.f, 3.f}, 0), 2.4076059644443806, 1e-14);
  // Far from zero and far apart: neither overflow nor loss of the small term.
  EXPECT_NEAR(nll(std::array{1000.f, 990.f}, 1), 10 + std::log1p(std::exp(-10)), 1e-12);
  EXPECT_EQ(nll(std::array{500.f, -kInf}, 0), 0);
}

}  // namespace
}  // namespace ra::model
