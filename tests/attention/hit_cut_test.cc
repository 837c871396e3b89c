// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/hit_cut.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ra::attention {
namespace {

// Logits 4, 3, 2, 1, 0 at scale 0.5, beside a static set of two keys with logits 3 and 2.
constexpr float kScale = 0.5f;
const std::vector<index::Hit> kHits{{7, 8}, {1, 6}, {5, 4}, {0, 2}, {9, 0}};
kernels::Partial fixed() { return {3, 1 + std::exp(-1.0f), nullptr}; }

std::size_t kept(const HitCut& cut) { return kept_hits(cut, kHits, kScale, fixed()); }

TEST(HitCut, WithoutALimitAllAreKept) {
  EXPECT_FALSE(HitCut{}.active());
  EXPECT_EQ(kept({}), kHits.size());
  EXPECT_EQ(kept_hits({.top_p = 0.5}, {}, kScale, fixed()), 0u);
}

TEST(HitCut, TopPIsTheFewestThatHoldTheShare) {
  const double own = std::exp(3.0) + std::exp(2.0);
  double all = own;
  for (int logit = 0; logit <= 4; ++logit) all += std::exp(logit);
  // Just below and just above the share that n hits hold.
  double held = own;
  for (std::size_t n = 0; n < kHits.size(); ++n) {
    EXPECT_EQ(kept({.top_p = held / all - 1e-5}), n);
    if (n + 1 < kHits.size()) {
      EXPECT_EQ(kept({.top_p = held / all + 1e-5}), n + 1);
    }
    held += std::exp(4.0 - static_cast<double>(n));
  }
}

TEST(HitCut, WithoutAStaticSetTheHitsAreTheirOwnMeasure) {
  double all = 0;
  for (int logit = 0; logit <= 4; ++logit) all += std::exp(logit);
  const kernels::Partial none;
  EXPECT_EQ(kept_hits({.top_p = std::exp(4.0) / all - 1e-5}, kHits, kScale, none), 1u);
  EXPECT_EQ(kept_hits({.top_p = std::exp(4.0) / all + 1e-5}, kHits, kScale, none), 2u);
  EXPECT_EQ(kept_hits({.range = 1.5}, kHits, kScale, none), 2u);
}

TEST(HitCut, RangeCountsFromTheLargestLogitOfBothSets) {
  EXPECT_EQ(kept({.range = 0}), 1u);
  EXPECT_EQ(kept({.range = 2}), 3u);  // a logit at the limit is kept
  EXPECT_EQ(kept({.range = 100}), kHits.size());
  kernels::Partial strong = fixed();
  strong.max = 6;
  EXPECT_EQ(kept_hits({.range = 3}, kHits, kScale, strong), 2u);
  EXPECT_EQ(kept_hits({.range = 1}, kHits, kScale, strong), 0u);
}

TEST(HitCut, TheStricterRuleDecides) {
  EXPECT_EQ(kept({.top_p = 0.999, .range = 1}), 2u);
  EXPECT_EQ(kept({.top_p = 0.3, .range = 4}), kept({.top_p = 0.3}));
}

TEST(HitCut, LargeLogitsDoNotOverflow) {
  const std::vector<index::Hit> hits{{0, 1000}, {1, 999}};
  const kernels::Partial weak{-1000, 1, nullptr}, strong{3000, 1, nullptr};
  EXPECT_EQ(kept_hits({.top_p = 0.9}, hits, 1, weak), 2u);
  EXPECT_EQ(kept_hits({.top_p = 0.7}, hits, 1, weak), 1u);
  EXPECT_EQ(kept_hits({.top_p = 0.9}, hits, 1, strong), 0u);
}

}  // namespace
}  // namespace ra::attention
