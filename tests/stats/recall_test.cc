// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/recall.h"

#include <gtest/gtest.h>

#include <vector>

namespace ra::stats {
namespace {

using Ids = std::vector<std::uint32_t>;
using Scores = std::vector<float>;

const Ids kTrue{4, 9, 2, 7};
const Scores kTrueScores{8, 6, 5, 5};
const ExactTop kExact{kTrue, kTrueScores, 10};

TEST(Recall, CountsIdsInAnyOrder) {
  const Recall r = recall_at_k(Ids{7, 4, 1, 9}, Scores{5, 8, 1, 6}, kExact);
  EXPECT_EQ(r.id, 0.75);
  EXPECT_EQ(r.tie, 0.75);
}

TEST(Recall, AnEqualScoreCountsForTheTieRecallOnly) {
  // Key 3 scores as much as the 4th exact key: another choice among equals.
  const Recall r = recall_at_k(Ids{4, 9, 2, 3}, Scores{8, 6, 5, 5}, kExact);
  EXPECT_EQ(r.id, 0.75);
  EXPECT_EQ(r.tie, 1);
}

TEST(Recall, TheToleranceIsAMillionthOfTheLargestScore) {
  EXPECT_EQ(recall_at_k(Ids{3}, Scores{5 - 0.9e-5f}, kExact).tie, 0.25);
  EXPECT_EQ(recall_at_k(Ids{3}, Scores{5 - 1.1e-5f}, kExact).tie, 0);
  EXPECT_EQ(recall_at_k(Ids{3}, Scores{5 - 0.9e-5f}, kExact).id, 0);
}

TEST(Recall, RepeatedIdsCountOnceAndExtraOnesNotAtAll) {
  EXPECT_EQ(recall_at_k(Ids{4, 4, 4, 4}, Scores{8, 8, 8, 8}, kExact).id, 0.25);
  EXPECT_EQ(recall_at_k(Ids{4, 4, 4, 4}, Scores{8, 8, 8, 8}, kExact).tie, 0.25);
  const Recall r = recall_at_k(Ids{0, 1, 3, 5, 4, 9}, Scores{5, 5, 5, 5, 8, 6}, kExact);
  EXPECT_EQ(r.id, 0);  // the fifth distinct id is past k
  EXPECT_EQ(r.tie, 1);
}

TEST(Recall, AShortAnswerIsDividedByK) {
  EXPECT_EQ(recall_at_k(Ids{}, Scores{}, kExact).id, 0);
  EXPECT_EQ(recall_at_k(Ids{9}, Scores{6}, kExact).id, 0.25);
}

TEST(ExactDot, RoundsOnce) {
  const float big = 1 << 24;
  const Scores a{big, 1, 1, -big}, b{1, 1, 1, 1};
  EXPECT_EQ(exact_dot(a.data(), b.data(), 4), 2.0f);  // f32 sums lose both ones
}

}  // namespace
}  // namespace ra::stats
