// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include <cmath>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class RopeTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(RopeTest);

TEST_P(RopeTest, IsBitIdenticalToScalarForEveryShape) {
  for (std::size_t head_dim = 2; head_dim <= 130; head_dim += 2)
    for (const std::size_t rotary : {head_dim, head_dim / 4 * 2, std::size_t{0}})
      for (const bool interleaved : {false, true}) {
        const auto angles = random_floats(rotary + 1, head_dim, 3);
        std::vector<float> cos(rotary / 2), sin(rotary / 2);
        for (std::size_t i = 0; i < rotary / 2; ++i) {
          cos[i] = std::cos(angles[i]);
          sin[i] = std::sin(angles[i]);
        }
        auto want = random_floats(3 * head_dim + 1, head_dim + 7), got = want;
        const RopeArgs args{nullptr, cos.data(), sin.data(), 3, head_dim, rotary, interleaved};
        RopeArgs a = args, b = args;
        a.x = want.data() + 1;
        b.x = got.data() + 1;
        rope<Level::kScalar>(a);
        table().rope(b);
        ASSERT_EQ(got, want) << "head_dim " << head_dim << " rotary " << rotary << " interleaved "
                             << interleaved;
      }
}

TEST_P(RopeTest, RotatesThePairsOfItsStyle) {
  // Pair i turns by a right angle: (a, b) -> (-b, a).
  const std::vector<float> cos(2, 0.0f), sin(2, 1.0f);
  std::vector<float> half{1, 2, 3, 4, 9}, interleaved = half;
  table().rope({half.data(), cos.data(), sin.data(), 1, 5, 4, false});
  table().rope({interleaved.data(), cos.data(), sin.data(), 1, 5, 4, true});
  EXPECT_EQ(half, (std::vector<float>{-3, -4, 1, 2, 9}));
  EXPECT_EQ(interleaved, (std::vector<float>{-2, 1, -4, 3, 9}));
}

TEST_P(RopeTest, KeepsInnerProductsOfEqualShifts) {
  // (R_m q) . (R_n k) depends on m - n only: the property that makes it a position encoding.
  constexpr std::size_t kDim = 64;
  const auto q = random_floats(kDim, 1), k = random_floats(kDim, 2);
  const auto rotated = [&](std::vector<float> v, double pos, bool interleaved) {
    std::vector<float> cos, sin;
    for (std::size_t i = 0; i < kDim / 2; ++i) {
      const double angle = pos * std::pow(10000.0, -2.0 * static_cast<double>(i) / kDim);
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
    table().rope({v.data(), cos.data(), sin.data(), 1, kDim, kDim, interleaved});
    return v;
  };
  for (const bool style : {false, true}) {
    const auto a = rotated(q, 17, style), b = rotated(k, 5, style);
    const auto c = rotated(q, 112, style), d = rotated(k, 100, style);
    EXPECT_NEAR(table().dot(a.data(), b.data(), kDim), table().dot(c.data(), d.data(), kDim), 1e-4);
  }
}

}  // namespace
}  // namespace ra::kernels
