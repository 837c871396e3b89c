// SPDX-License-Identifier: Apache-2.0
#include "lib/index/build_clock.h"

#include <gtest/gtest.h>

#include <vector>

namespace ra::index {
namespace {

TEST(BuildClockTest, ChunksCoverEveryItemOnce) {
  BuildClock clock;
  for (const std::size_t n : {0u, 1u, 63u, 64u, 65u, 1000u}) {
    std::vector<int> seen(n, 0);
    clock.parallel(n, 64, [&](std::size_t first, std::size_t last) {
      EXPECT_LE(last - first, 64u);
      for (std::size_t i = first; i < last; ++i) ++seen[i];
    });
    EXPECT_EQ(seen, std::vector<int>(n, 1));
  }
  EXPECT_GE(clock.lap_ms(), 0);
  EXPECT_GE(clock.wall_ms(), 0);
}

TEST(BuildClockTest, CountsTheWorkOfAllThreads) {
  BuildClock clock;
  clock.parallel(4, 1, [](std::size_t, std::size_t) {
    volatile double x = 1;
    for (int i = 0; i < 3000000; ++i) x = x * 1.0000001;
  });
  EXPECT_GT(clock.cpu_s(), 0.002);
}

}  // namespace
}  // namespace ra::index
