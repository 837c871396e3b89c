// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/overlap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "tests/stats/random_head.h"

namespace ra::stats {
namespace {

std::set<std::uint32_t> top(const Naive& x, std::size_t k) {
  return {x.order.begin(), x.order.begin() + static_cast<std::ptrdiff_t>(k)};
}

double mass(const Naive& x, const std::set<std::uint32_t>& ids) {
  double sum = 0;
  for (const std::uint32_t id : ids) sum += x.weights[id];
  return sum;
}

double common(const std::set<std::uint32_t>& a, const std::set<std::uint32_t>& b) {
  return static_cast<double>(
      std::count_if(a.begin(), a.end(), [&](auto id) { return b.contains(id); }));
}

// Two heads that share keys: their queries differ.
struct TwoHeads {
  explicit TwoHeads(std::size_t m) : a(m, 80, 5, 8, 1), b(m, 80, 5, 8, 1) {
    b.queries = testing::random_matrix(m, 8, 9);
    b.data.queries = b.queries.view();
  }
  RandomHead a, b;
};

TEST(Overlap, SetsAreTheExactTopKInAscendingOrder) {
  const RandomHead h(6, 80, 5, 8, 1);
  const TopSets sets(exact_reference(h.data, 10));
  ASSERT_EQ(sets.queries(), 6u);
  ASSERT_EQ(sets.k(), 10u);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto expected = top(naive_attention(h.data, i), 10);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), sets.of(i).begin(), sets.of(i).end()));
  }
}

TEST(Overlap, ReuseEqualsTheDefinition) {
  const TwoHeads two(7);
  const std::size_t k = 12;
  const ExactReference exact = exact_reference(two.a.data, k);
  const TopSets own(exact), other(exact_reference(two.b.data, k));
  for (const std::size_t lag : {0u, 1u, 3u, 6u}) {
    double overlap = 0, ratio = 0, all = 0;
    for (std::size_t i = lag; i < 7; ++i) {
      const Naive x = naive_attention(two.a.data, i);
      const auto wanted = top(x, k), given = top(naive_attention(two.b.data, i - lag), k);
      overlap += common(wanted, given) / static_cast<double>(k);
      ratio += mass(x, given) / mass(x, wanted);
      all += mass(x, given);
      for (std::size_t j = 80; j < x.weights.size(); ++j) all += x.weights[j];
    }
    const double n = static_cast<double>(7 - lag);
    const Reuse r = reuse(two.a.data, exact, own, other, lag);
    EXPECT_NEAR(r.overlap, overlap / n, 1e-12) << lag;
    EXPECT_NEAR(r.mass_ratio, ratio / n, 1e-6) << lag;
    EXPECT_NEAR(r.mass_all, all / n, 1e-6) << lag;
    EXPECT_LT(r.overlap, 1);
  }
}

TEST(Overlap, TheOwnSetLosesNothing) {
  const RandomHead h(5, 60, 4, 8, 1);
  const ExactReference exact = exact_reference(h.data, 9);
  const TopSets own(exact);
  const Reuse r = reuse(h.data, exact, own, own, 0);
  EXPECT_EQ(r.overlap, 1);
  EXPECT_NEAR(r.mass_ratio, 1, 1e-6);
  EXPECT_EQ(overlap(own, own), 1);
}

TEST(Overlap, AllKeysAgreeWithEverything) {
  const TwoHeads two(4);
  const TopSets a(exact_reference(two.a.data, 80)), b(exact_reference(two.b.data, 80));
  EXPECT_EQ(overlap(a, b), 1);
  const std::array<const TopSets*, 2> heads{&a, &b};
  EXPECT_EQ(distinct_keys(heads), 80);
}

TEST(Overlap, DistinctKeysCountSharedOnesOnce) {
  const TwoHeads two(6);
  const std::size_t k = 15;
  const TopSets a(exact_reference(two.a.data, k)), b(exact_reference(two.b.data, k));
  const std::array<const TopSets*, 2> heads{&a, &b};
  EXPECT_NEAR(distinct_keys(heads), static_cast<double>(k) * (2 - overlap(a, b)), 1e-12);
  const std::array<const TopSets*, 2> alike{&a, &a};
  EXPECT_EQ(distinct_keys(alike), static_cast<double>(k));
}

}  // namespace
}  // namespace ra::stats
