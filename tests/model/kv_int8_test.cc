// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/core/matrix.h"
#include "tests/support/random.h"

namespace ra::model {
namespace {

using testing::random_floats;

std::vector<float> round_trip(const std::vector<float>& x) {
  std::vector<std::byte> row(x.size() + 4);
  std::vector<float> back(x.size());
  quantize_row(x, {}, {}, row.data());
  widen_int8_row(row.data(), nullptr, back);
  return back;
}

TEST(KvInt8, EveryElementIsWithinHalfAStep) {
  for (const std::size_t dim : {1u, 3u, 64u, 257u}) {
    const std::vector<float> x = random_floats(dim, 7, 3);
    const auto largest =
        std::abs(*std::ranges::max_element(x, {}, [](float v) { return std::abs(v); }));
    const std::vector<float> back = round_trip(x);
    for (std::size_t i = 0; i < dim; ++i)
      EXPECT_LE(std::abs(back[i] - x[i]), largest / 127 * 0.501f) << i << " of " << dim;
  }
}

TEST(KvInt8, TheLargestElementIsKeptAndZerosStayZero) {
  EXPECT_EQ(round_trip({0, 0, 0}), (std::vector<float>{0, 0, 0}));
  const std::vector<float> back =
      round_trip({-254, 0, 127, 1});  // steps of 2; 0.5 is a tie to even
  EXPECT_EQ(back[0], -254);
  EXPECT_EQ(back[1], 0);
  EXPECT_EQ(back[2], 128);
  EXPECT_EQ(back[3], 0);
}

TEST(KvInt8, ARowThatIsNotFiniteReadsAsNan) {
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF})
    for (const float x : round_trip({1, bad, 2})) EXPECT_TRUE(std::isnan(x)) << bad;
}

TEST(KvInt8, AFrameKeepsSmallChannelsBesideLargeOnes) {
  constexpr std::size_t kRows = 100, kDim = 64;
  Matrix<float> k(kRows, 3 + kDim);
  std::ranges::copy(random_floats(kRows * (3 + kDim), 1), k.data());
  for (std::size_t t = 0; t < kRows; ++t) {
    k.row(t)[3 + 5] += 200;                       // an outlier that is the same in every row
    k.row(t)[3 + 9] = 50 * k.row(t)[3 + 9] - 90;  // and one that varies
  }
  std::vector<float> centre(kDim), gain(kDim);
  fit_key_frame(k.view(), 3, centre, gain);
  std::vector<std::byte> row(kDim + 4);
  std::vector<float> back(kDim);
  for (std::size_t t = 0; t < kRows; ++t) {
    quantize_row({k.row(t) + 3, kDim}, centre, gain, row.data());
    widen_int8_row(row.data(), gain.data(), back);
    for (std::size_t i = 0; i < kDim; ++i)
      ASSERT_LE(std::abs(back[i] + centre[i] - k.row(t)[3 + i]), gain[i] / 127 * 0.52f) << i;
    EXPECT_LE(gain[0], 5);  // of its own range, not of the outliers
  }
}

TEST(KvInt8, FewRowsOrSuchThatAreNotFiniteGiveNoFrame) {
  Matrix<float> k(kLeastFrameRows, 2);
  std::ranges::copy(random_floats(kLeastFrameRows * 2, 1), k.data());
  std::vector<float> centre(2), gain(2);
  fit_key_frame(k.view().row_range(0, kLeastFrameRows - 1), 0, centre, gain);
  EXPECT_EQ(centre, (std::vector<float>{0, 0}));
  EXPECT_EQ(gain, (std::vector<float>{1, 1}));
  k.row(4)[1] = HUGE_VALF;
  fit_key_frame(k.view(), 0, centre, gain);
  EXPECT_NE(centre[0], 0);
  EXPECT_EQ(centre[1], 0);
  EXPECT_EQ(gain[1], 1);
}

}  // namespace
}  // namespace ra::model
