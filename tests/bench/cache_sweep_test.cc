// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/cache_sweep.h"

#include <gtest/gtest.h>

namespace ra::bench {
namespace {

TEST(CacheSweepTest, ReadsEveryWordOnce) {
  for (const std::size_t words : {0u, 1u, 8191u, 8192u, 100000u})
    EXPECT_EQ(CacheSweep(words * sizeof(std::uint64_t)).run(), words);
}

}  // namespace
}  // namespace ra::bench
