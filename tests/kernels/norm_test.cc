// SPDX-License-Identifier: Apache-2.0
#include "kernels/norm.h"

#include <cmath>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class NormTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(NormTest);

TEST_P(NormTest, MatchesScalarAtEveryTailAndShift) {
  for (std::size_t n = 1; n <= 130; ++n)
    for (const std::size_t shift : {0u, 1u, 7u}) {
      const auto x = random_floats(n + shift, n), gain = random_floats(n + shift, n + 500);
      std::vector<float> got(n + 1, 7.0f), want(n);
      rms_norm<Level::kScalar>({x.data() + shift, gain.data() + shift, want.data(), n, 1e-5f});
      table().rms_norm({x.data() + shift, gain.data() + shift, got.data(), n, 1e-5f});
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_NEAR(got[i], want[i], 3e-7f * std::fabs(want[i])) << "n=" << n << " i=" << i;
      ASSERT_EQ(got[n], 7.0f) << "wrote past the end, n=" << n;
    }
}

TEST_P(NormTest, SumsLargeAndSmallSquaresInF64) {
  // In f32 the many small squares would vanish beside the large one.
  std::vector<float> x(4097, 1.0f), gain(4097, 1.0f), y(4097);
  x[0] = 8192.0f;
  table().rms_norm({x.data(), gain.data(), y.data(), x.size(), 0.0f});
  const double r = 1.0 / std::sqrt((8192.0 * 8192.0 + 4096.0) / 4097.0);
  EXPECT_FLOAT_EQ(y[1], static_cast<float>(r));
}

TEST_P(NormTest, WorksInPlaceAndOnZeros) {
  auto x = random_floats(100, 1);
  const auto gain = random_floats(100, 2);
  std::vector<float> want(100);
  table().rms_norm({x.data(), gain.data(), want.data(), 100, 1e-6f});
  table().rms_norm({x.data(), gain.data(), x.data(), 100, 1e-6f});
  EXPECT_EQ(x, want);
  std::vector<float> zeros(100, 0.0f), y(100, 1.0f);
  table().rms_norm({zeros.data(), gain.data(), y.data(), 100, 1e-6f});
  for (const float v : y) EXPECT_EQ(v, 0.0f);
}

}  // namespace
}  // namespace ra::kernels
