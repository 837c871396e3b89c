// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include <cmath>
#include <limits>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class SwigluTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(SwigluTest);

double silu(double g) { return g / (1.0 + std::exp(-g)); }

TEST_P(SwigluTest, MatchesF64AtEveryTailAndShift) {
  for (std::size_t n = 0; n <= 130; ++n)
    for (const std::size_t shift : {0u, 1u, 5u}) {
      const auto up = random_floats(n + shift, n);
      auto gate = random_floats(n + shift + 1, n + 300, 6);
      const auto before = gate;
      table().swiglu(up.data() + shift, gate.data() + shift, n);
      for (std::size_t i = shift; i < n + shift; ++i) {
        const double want = silu(static_cast<double>(before[i])) * static_cast<double>(up[i]);
        ASSERT_NEAR(gate[i], want, 6e-7 * std::fabs(want)) << "n=" << n << " gate " << before[i];
      }
      ASSERT_EQ(gate[n + shift], before[n + shift]) << "wrote past the end";
    }
}

TEST_P(SwigluTest, IsAccurateOverTheWholeRange) {
  std::vector<float> gate, up;
  for (float g = -86.0f; g < 90.0f; g += 0.00931f) gate.push_back(g);
  up.assign(gate.size(), 1.0f);
  const auto before = gate;
  table().swiglu(up.data(), gate.data(), gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const double want = silu(static_cast<double>(before[i]));
    ASSERT_NEAR(gate[i], want, 6e-7 * std::fabs(want)) << "gate " << before[i];
  }
}

TEST_P(SwigluTest, ExtremeGatesStayFiniteAndNanStaysNan) {
  constexpr float kMax = std::numeric_limits<float>::max();
  std::vector<float> gate{
      kMax, -kMax, 1000, -1000, -88, -104, 0, -0.0f, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> up(gate.size(), 1.0f);
  table().swiglu(up.data(), gate.data(), gate.size());
  EXPECT_EQ(gate[0], kMax);
  EXPECT_EQ(gate[2], 1000.0f);
  for (const std::size_t i : {1u, 3u, 4u, 5u, 6u, 7u}) EXPECT_NEAR(gate[i], 0, 1e-35) << i;
  EXPECT_TRUE(std::isnan(gate[8]));
}

}  // namespace
}  // namespace ra::kernels
