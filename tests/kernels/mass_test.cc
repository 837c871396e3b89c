// SPDX-License-Identifier: Apache-2.0
#include "kernels/mass.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class MassTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(MassTest);

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr std::size_t kGroup = 3;

// Cells with a mean, a spread and a size each, and what a table makes of them.
struct Cells {
  std::size_t n;
  float scale, reach;
  std::vector<float> means, gain = {0.5f, 2.0f, 0.0f}, spread, log_size;

  Cells(std::size_t cells, float logits, float s, float r) : n(cells), scale(s), reach(r) {
    means = random_floats(kGroup * n, n + 1, logits);
    for (const float x : random_floats(n, n + 2)) spread.push_back(std::fabs(x));
    for (const float x : random_floats(n, n + 3)) log_size.push_back(3 * std::fabs(x));
  }
  std::vector<float> log_mass(const OpTable& table) const {
    const std::size_t stride = n + 5;
    std::vector<float> promise(kGroup * stride, 1e30f), out(kGroup + 1, 77.0f);
    for (std::size_t g = 0; g < kGroup; ++g)
      for (std::size_t i = 0; i < n; ++i)
        promise[g * stride + i] = means[g * n + i] + gain[g] * spread[i];
    table.log_mass({promise.data(), stride, kGroup, n, gain.data(), spread.data(), log_size.data(),
                    scale, reach},
                   out.data());
    EXPECT_EQ(out.back(), 77.0f) << "wrote past the end";
    return out;
  }
  double expected(std::size_t g) const {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double deviation = static_cast<double>(scale * gain[g] * spread[i] / reach),
                   half = std::min(deviation * deviation / 2, double{kMostHalfVariance});
      sum += std::exp(static_cast<double>(scale * means[g * n + i] + log_size[i]) + half);
    }
    return std::log(sum);
  }
};

TEST_P(MassTest, IsThatOfNormalLogitsForEveryLength) {
  for (std::size_t n = 1; n <= 70; ++n)
    for (const float reach : {1.0f, 2.0f}) {
      const Cells cells(n, 4, 0.25f, reach);
      const auto mass = cells.log_mass(table());
      for (std::size_t g = 0; g < kGroup; ++g) ASSERT_NEAR(mass[g], cells.expected(g), 3e-5) << n;
    }
}

TEST_P(MassTest, WideCellsCountForNoMore) {
  Cells cells(40, 1, 1, 1);
  for (float& s : cells.spread) s = 50;
  const auto mass = cells.log_mass(table());
  for (const std::size_t g : {0u, 1u}) EXPECT_NEAR(mass[g], cells.expected(g), 1e-3);
  cells.gain = {0, 0, 0};
  EXPECT_NEAR(mass[0] - cells.log_mass(table())[0], kMostHalfVariance, 1e-3);
}

TEST_P(MassTest, LargeLogitsDoNotOverflow) {
  Cells cells(33, 1, 1, 2);
  const auto before = cells.log_mass(table());
  for (float& m : cells.means) m += 1000;
  const auto after = cells.log_mass(table());
  for (std::size_t g = 0; g < kGroup; ++g) EXPECT_NEAR(after[g] - before[g], 1000, 1e-2);
}

// What mass_below makes of the cells, and what it should: with the normal law itself.
struct Below {
  std::vector<float> each, got, want;  // [group, n]
};
Below below(const Cells& cells, const OpTable& table, float floor) {
  const std::size_t stride = cells.n + 3;
  std::vector<float> promise(kGroup * stride), each(kGroup * stride, 55.0f),
      out(kGroup * stride, 66.0f), peaks(kGroup), mass(kGroup);
  for (std::size_t g = 0; g < kGroup; ++g)
    for (std::size_t i = 0; i < cells.n; ++i)
      promise[g * stride + i] = cells.means[g * cells.n + i] + cells.gain[g] * cells.spread[i];
  const MassArgs args{.promise = promise.data(),
                      .stride = stride,
                      .group = kGroup,
                      .n = cells.n,
                      .gain = cells.gain.data(),
                      .spread = cells.spread.data(),
                      .log_size = cells.log_size.data(),
                      .scale = cells.scale,
                      .reach = cells.reach,
                      .each = each.data(),
                      .peaks = peaks.data()};
  table.log_mass(args, mass.data());
  const std::vector<float> floors(kGroup, floor);
  table.mass_below({args, floors.data()}, out.data());
  Below result;
  for (std::size_t g = 0; g < kGroup; ++g) {
    for (std::size_t i = cells.n; i < stride; ++i) {
      EXPECT_EQ(each[g * stride + i], 55.0f) << "wrote past the end";
      EXPECT_EQ(out[g * stride + i], 66.0f) << "wrote past the end";
    }
    for (std::size_t i = 0; i < cells.n; ++i) {
      const double deviation = std::min(static_cast<double>(cells.scale * cells.gain[g] *
                                                            cells.spread[i] / cells.reach),
                                        double{kMostDeviation}),
                   mean = static_cast<double>(cells.scale * cells.means[g * cells.n + i]),
                   all = std::exp(mean + static_cast<double>(cells.log_size[i]) +
                                  deviation * deviation / 2 - static_cast<double>(floor)),
                   z = (static_cast<double>(floor) - mean) / std::max(deviation, 1e-9) - deviation;
      result.each.push_back(static_cast<float>(all));
      result.want.push_back(static_cast<float>(all * std::erfc(-z / std::sqrt(2.0)) / 2));
      result.got.push_back(out[g * stride + i]);
    }
  }
  return result;
}

TEST_P(MassTest, WhatLiesBelowAFloorIsThatOfANormalLawCutOff) {
  for (std::size_t n = 1; n <= 70; ++n)
    for (const float floor : {-1.0f, 1.0f, 4.0f}) {
      const Below b = below(Cells(n, 4, 0.25f, 2), table(), floor);
      for (std::size_t i = 0; i < b.got.size(); ++i)
        ASSERT_NEAR(b.got[i], b.want[i], 0.0021 * b.each[i] + 1e-6) << n << ' ' << i;
    }
}

TEST_P(MassTest, CellsFarAboveAFloorHaveNothingBelowIt) {
  Cells cells(40, 1, 1, 2);
  for (float& m : cells.means) m += 15;
  for (float& s : cells.spread) s = std::min(s, 1.0f);
  for (const float x : below(cells, table(), 0).got) EXPECT_EQ(x, 0);
  for (float& m : cells.means) m -= 40;  // all below
  const Below b = below(cells, table(), 0);
  for (std::size_t i = 0; i < b.got.size(); ++i) EXPECT_NEAR(b.got[i], b.each[i], 1e-4 * b.each[i]);
}

TEST_P(MassTest, AFloorOutOfReachLeavesFiniteNumbers) {
  Cells cells(40, 1, 1, 2);
  cells.means[7] = 5000;
  for (const float x : below(cells, table(), -300).got) EXPECT_TRUE(std::isfinite(x));
}

TEST_P(MassTest, NothingLiesBelowWhereThereIsNoCell) {
  Cells cells(40, 2, 1, 2);
  for (std::size_t g = 0; g < kGroup; ++g)
    for (std::size_t i = 10; i < 40; ++i) cells.means[g * 40 + i] = -kInf;
  const Below b = below(cells, table(), 3);
  for (std::size_t g = 0; g < kGroup; ++g)
    for (std::size_t i = 10; i < 40; ++i) EXPECT_EQ(b.got[g * 40 + i], 0);
}

TEST_P(MassTest, PlacesWithoutACellHoldNothing) {
  Cells cells(40, 2, 1, 2);
  Cells fewer = cells;
  for (std::size_t g = 0; g < kGroup; ++g)
    for (std::size_t i = 20; i < 40; ++i) cells.means[g * 40 + i] = -kInf;
  fewer.n = 20;
  fewer.means.clear();
  for (std::size_t g = 0; g < kGroup; ++g)
    fewer.means.insert(fewer.means.end(), &cells.means[g * 40], &cells.means[g * 40] + 20);
  const auto mass = cells.log_mass(table()), want = fewer.log_mass(table());
  for (std::size_t g = 0; g < kGroup; ++g) EXPECT_NEAR(mass[g], want[g], 1e-5);
  for (float& m : cells.means) m = -kInf;
  for (std::size_t g = 0; g < kGroup; ++g) EXPECT_EQ(cells.log_mass(table())[g], -kInf);
  cells.n = 0;
  EXPECT_EQ(cells.log_mass(table())[0], -kInf);
}

}  // namespace
}  // namespace ra::kernels
