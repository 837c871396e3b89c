// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/grid.h"

#include <gtest/gtest.h>

namespace ra::cuda {
namespace {

TEST(RowThreads, AreWholeWarpsUpToTheMost) {
  EXPECT_EQ(row_threads(0), 32u);
  EXPECT_EQ(row_threads(1), 32u);
  EXPECT_EQ(row_threads(32), 32u);
  EXPECT_EQ(row_threads(33), 64u);
  EXPECT_EQ(row_threads(1 << 20), 256u);
}

TEST(KeySplits, CoverAllKeysWithNoneEmpty) {
  for (std::size_t keys = 1; keys < 20000; keys += keys < 600 ? 1 : 331)
    for (const std::size_t blocks : {1u, 2u, 8u, 64u})
      for (const std::size_t processors : {1u, 16u, 132u}) {
        const KeySplits s(keys, blocks, processors);
        ASSERT_GE(s.count, 1u);
        ASSERT_LE(s.count, KeySplits::kMostSplits);
        ASSERT_GE(s.count * s.length, keys);
        ASSERT_LT((s.count - 1) * s.length, keys) << keys << ' ' << blocks << ' ' << processors;
      }
}

TEST(KeySplits, FillTheDeviceWhereThereAreKeysEnough) {
  // 2 KV heads at 128K tokens on 132 multiprocessors: four blocks for each.
  const KeySplits s(131072, 2, 132);
  EXPECT_GE(s.count * 2, 4 * 132u - 2);
  EXPECT_LE(s.count * 2, 4 * 132u + 2);
  EXPECT_EQ(KeySplits(100, 2, 132).count, 1u);  // not worth a split
}

}  // namespace
}  // namespace ra::cuda
