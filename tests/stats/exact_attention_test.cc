// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/exact_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/stats/recall.h"
#include "tests/stats/random_head.h"

namespace ra::stats {
namespace {

TEST(ExactReference, EqualsTheDefinitionAtOddSizes) {
  for (const auto& [m, n, s, d, dv] :
       {std::tuple{1u, 7u, 0u, 3u, 2u}, {67u, 131u, 9u, 5u, 7u}, {3u, 4500u, 20u, 16u, 4u}}) {
    RandomHead h(m, n, s, d, dv);
    const std::size_t k = std::min<std::size_t>(n, 6);
    const ExactReference r = exact_reference(h.data, k);
    for (std::size_t i = 0; i < m; ++i) {
      const Naive x = naive_attention(h.data, i);
      ASSERT_TRUE(std::equal(x.order.begin(), x.order.begin() + k, r.top_ids(i).begin())) << i;
      for (std::size_t j = 0; j < k; ++j) EXPECT_EQ(r.top_scores(i)[j], x.scores[x.order[j]]);
      EXPECT_NEAR(r.lse_keys[i], x.lse_keys, 1e-12);
      if (h.data.visible[i] > 0)
        EXPECT_NEAR(r.lse_static[i], x.lse_static, 1e-12);
      else
        EXPECT_EQ(r.lse_static[i], -std::numeric_limits<double>::infinity());
      for (std::size_t j = 0; j < dv; ++j)
        EXPECT_NEAR(r.output.row(i)[j], x.output[j], 1e-6) << i << " " << j;
    }
  }
}

TEST(ExactReference, TiesGoToTheSmallerId) {
  RandomHead h(4, 300, 0, 8, 1);
  for (std::size_t i = 0; i < 300; ++i)  // three copies of each key
    std::copy_n(h.keys.row(i % 100), 8, h.keys.row(i));
  const ExactReference r = exact_reference(h.data, 30);
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 30; j += 3) {
      EXPECT_LT(r.top_ids(i)[j], 100u);
      EXPECT_EQ(r.top_ids(i)[j + 1], r.top_ids(i)[j] + 100);
      EXPECT_EQ(r.top_ids(i)[j + 2], r.top_ids(i)[j] + 200);
    }
}

TEST(ExactReference, SkipLeavesTheSelfMatchOut) {
  RandomHead h(3, 50, 0, 6, 1);
  const std::vector<std::uint32_t> best = exact_reference(h.data, 1).ids;
  const ExactReference all = exact_reference(h.data, 5), rest = exact_reference(h.data, 4, best);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(
        std::equal(rest.top_ids(i).begin(), rest.top_ids(i).end(), all.top_ids(i).begin() + 1));
}

TEST(ExactReference, LargeLogitsDoNotOverflow) {
  RandomHead h(2, 40, 4, 8, 3);
  h.data.scale = 1e4;
  const ExactReference r = exact_reference(h.data, 3);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::isfinite(r.lse_keys[i]));
    for (const float o : r.output.row_span(i)) EXPECT_TRUE(std::isfinite(o));
  }
}

TEST(ExactReference, DoesNotDependOnThreads) {
  RandomHead h(130, 700, 5, 16, 8);
  set_threads(1);
  const ExactReference one = exact_reference(h.data, 20);
  set_threads(3);
  const ExactReference three = exact_reference(h.data, 20);
  set_threads(0);
  EXPECT_EQ(one.ids, three.ids);
  EXPECT_EQ(one.lse_keys, three.lse_keys);
  EXPECT_EQ(0, std::memcmp(one.output.data(), three.output.data(), one.output.bytes()));
}

TEST(ExactTopK, KeepsAllOfThemAtKEqualsN) {
  const std::vector<double> scores{1, 5, -2, 5, 0};
  std::vector<std::uint32_t> ids(5);
  std::vector<float> best(5);
  exact_top_k(scores, 5, 5, ids.data(), best.data());
  EXPECT_EQ(ids, (std::vector<std::uint32_t>{1, 3, 0, 4, 2}));
  EXPECT_EQ(best, (std::vector<float>{5, 5, 1, 0, -2}));
}

}  // namespace
}  // namespace ra::stats
