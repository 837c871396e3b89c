// SPDX-License-Identifier: Apache-2.0
#include "kernels/read_sum.h"

#include <gtest/gtest.h>

#include <numeric>

#include "lib/core/matrix.h"
#include "tests/support/levels.h"

namespace ra::kernels {
namespace {

class ReadSumTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(ReadSumTest);

TEST_P(ReadSumTest, SumsEveryNumberOnce) {
  AlignedBuffer<std::uint64_t> numbers(200);
  std::uint64_t x = 1;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers.data()[i] = x *= 6364136223846793005u;  // sums wrap around
  for (std::size_t n = 0; n <= numbers.size(); ++n)
    EXPECT_EQ(read_sum_of(level())(numbers.data(), n),
              std::accumulate(numbers.data(), numbers.data() + n, std::uint64_t{0}))
        << n;
}

}  // namespace
}  // namespace ra::kernels
