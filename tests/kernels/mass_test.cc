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
