// SPDX-License-Identifier: Apache-2.0
#include "kernels/multiply_peak.h"

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "tests/support/levels.h"

namespace ra::kernels {
namespace {

class MultiplyPeakTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(MultiplyPeakTest);

// Lanes x chains x 2, or pairs x chains x 2, or tiles of 16 x 16 x 32: whatever the rounds, these
// are the operations of one.
TEST_P(MultiplyPeakTest, CountsTheOperationsOfOneRound) {
  const double expected[] = {96, 192, 768, 65536}, in_f32[] = {96, 192, 384, 384};
  for (const std::size_t rounds : {1u, 7u}) {
    EXPECT_EQ(table().multiply_peak(rounds, false), expected[static_cast<int>(level())]);
    EXPECT_EQ(table().multiply_peak(rounds, true), in_f32[static_cast<int>(level())]);
  }
}

}  // namespace
}  // namespace ra::kernels
