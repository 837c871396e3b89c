// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

double silu(double g) { return g / (1.0 + std::exp(-g)); }
double gelu_twice_z(double g) {
  return 2 * std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
}
double gelu(double g) { return g / (1.0 + std::exp(-gelu_twice_z(g))); }

// The two gates and how exactly they are met: a relative error of exp's argument, which gelu has to
// compute, is one of the result times that argument.
struct Gate {
  decltype(kernels::OpTable::swiglu) kernels::OpTable::*op;
  double (*activation)(double);
  double (*tolerance)(double g);
};
const Gate kGates[] = {
    {&OpTable::swiglu, silu, [](double) { return 6e-7; }},
    {&OpTable::geglu, gelu, [](double g) { return 6e-7 + 3e-7 * std::fabs(gelu_twice_z(g)); }},
};

class ActivationTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(ActivationTest);

TEST_P(ActivationTest, MatchesF64AtEveryTailAndShift) {
  for (const Gate& kind : kGates)
    for (std::size_t n = 0; n <= 130; ++n)
      for (const std::size_t shift : {0u, 1u, 5u}) {
        const auto up = random_floats(n + shift, n);
        auto gate = random_floats(n + shift + 1, n + 300, 6);
        const auto before = gate;
        (table().*kind.op)(up.data() + shift, gate.data() + shift, n);
        for (std::size_t i = shift; i < n + shift; ++i) {
          const double g = before[i], want = kind.activation(g) * static_cast<double>(up[i]);
          ASSERT_NEAR(gate[i], want, kind.tolerance(g) * std::fabs(want) + 1e-37)
              << "n=" << n << " gate " << g;
        }
        ASSERT_EQ(gate[n + shift], before[n + shift]) << "wrote past the end";
      }
}

TEST_P(ActivationTest, IsAccurateOverTheWholeRange) {
  for (const Gate& kind : kGates) {
    std::vector<float> gate, up;
    for (float g = -86.0f; g < 90.0f; g += 0.00931f) gate.push_back(g);
    up.assign(gate.size(), 1.0f);
    const auto before = gate;
    (table().*kind.op)(up.data(), gate.data(), gate.size());
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double g = before[i], want = kind.activation(g);
      ASSERT_NEAR(gate[i], want, kind.tolerance(g) * std::fabs(want) + 1e-36) << "gate " << g;
    }
  }
}

TEST_P(ActivationTest, ExtremeGatesStayFiniteAndNanStaysNan) {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const Gate& kind : kGates) {
    std::vector<float> gate{
        kMax, -kMax, 1000, -1000, -88, -104, 0, -0.0f, std::numeric_limits<float>::quiet_NaN()};
    const std::vector<float> up(gate.size(), 1.0f);
    (table().*kind.op)(up.data(), gate.data(), gate.size());
    EXPECT_EQ(gate[0], kMax);
    EXPECT_EQ(gate[2], 1000.0f);
    for (const std::size_t i : {1u, 3u, 4u, 5u, 6u, 7u}) EXPECT_NEAR(gate[i], 0, 1e-35) << i;
    EXPECT_TRUE(std::isnan(gate[8]));
  }
}

}  // namespace
}  // namespace ra::kernels
