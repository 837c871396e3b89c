// SPDX-License-Identifier: Apache-2.0
#include "lib/core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace ra {
namespace {

// Streams are part of every recorded result: these numbers must never change. They are the ones
// that tests/golden/tokenizer/make_fixture.py computes in Python.
TEST(Rng, StreamsAreFixed) {
  Rng plain(1), keyed(1, 2, 3, 4);
  EXPECT_EQ(plain.next(), 0xe848b57330008cfbu);
  EXPECT_EQ(plain.next(), 0xe9752a8ff382eb96u);
  EXPECT_EQ(keyed.next(), 0x9a72e9c958bd6b24u);
  EXPECT_EQ(keyed.next(), 0x6da2f6aa5f72f884u);
}

TEST(Rng, EveryPartOfTheKeyMatters) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    for (std::uint64_t a = 0; a < 4; ++a)
      for (std::uint64_t b = 0; b < 4; ++b)
        for (std::uint64_t c = 0; c < 4; ++c) first.insert(Rng(seed, a, b, c).next());
  EXPECT_EQ(first.size(), 256u);
}

TEST(Rng, BelowStaysBelowAndIsFair) {
  Rng rng(7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0u);
  constexpr std::uint64_t kSides = 10, kThrows = 100'000;
  std::vector<double> counts(kSides);
  for (std::uint64_t i = 0; i < kThrows; ++i) {
    const std::uint64_t side = rng.below(kSides);
    ASSERT_LT(side, kSides);
    counts[side] += 1;
  }
  double chi2 = 0;
  const double expected = double{kThrows} / kSides;
  for (const double n : counts) chi2 += (n - expected) * (n - expected) / expected;
  EXPECT_LT(chi2, 27.9);  // 99.9 % of chi-square with 9 degrees of freedom
  for (int i = 0; i < 1000; ++i) EXPECT_LT(rng.below(UINT64_MAX), UINT64_MAX);
}

TEST(Rng, UniformAndNormalHaveTheirMoments) {
  Rng rng(11);
  constexpr int kDraws = 200'000;
  double u1 = 0, n1 = 0, n2 = 0, n3 = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.uniform(), n = rng.normal();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ASSERT_TRUE(std::isfinite(n));
    u1 += u, n1 += n, n2 += n * n, n3 += n * n * n;
  }
  // Four standard errors of each moment.
  EXPECT_NEAR(u1 / kDraws, 0.5, 4 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(n1 / kDraws, 0.0, 4 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(n2 / kDraws, 1.0, 4 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(n3 / kDraws, 0.0, 4 * std::sqrt(15.0 / kDraws));
}

}  // namespace
}  // namespace ra
