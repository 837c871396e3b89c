// SPDX-License-Identifier: Apache-2.0
#include "lib/index/visited_set.h"

#include <gtest/gtest.h>

namespace ra::index {
namespace {

TEST(VisitedSetTest, ForgetsBetweenSearchesAlsoWhenTheEpochWraps) {
  VisitedSet visited;
  for (int search = 0; search < 70000; ++search) {
    visited.start(3);
    const auto node = static_cast<std::uint32_t>(search % 3);
    ASSERT_TRUE(visited.insert(node)) << search;
    ASSERT_FALSE(visited.insert(node)) << search;
  }
  // A node seen 65535 searches ago must not look seen after the wrap.
  visited.start(5);
  for (std::uint32_t node = 0; node < 5; ++node) EXPECT_TRUE(visited.insert(node));
}

}  // namespace
}  // namespace ra::index
