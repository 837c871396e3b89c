// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/synthetic_context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "lib/core/parallel.h"
#include "lib/stats/mahalanobis.h"
#include "tests/support/random.h"

namespace ra::stats {
namespace {

constexpr std::size_t kDim = 8, kHeads = 2;
constexpr std::int64_t kReal = 2000;

RotaryPairs pairs(bool interleaved = false) { return {{1, 0.1, 0.01}, interleaved}; }

// Keys that have a mean, a covariance that is no multiple of the identity, and a drift of their
// last component, all before RoPE.
Matrix<float> real_keys(std::size_t rows = kReal) {
  Matrix<float> k = testing::random_matrix(rows, kHeads * kDim, 5);
  for (std::size_t p = 0; p < rows; ++p) {
    float* row = k.row(p);
    for (std::size_t d = 0; d < k.cols(); ++d) row[d] += d % kDim == 1 ? 3.0f : 0.5f * row[0];
    for (std::size_t h = 0; h < kHeads; ++h)
      row[h * kDim + kDim - 1] = 4.0f * static_cast<float>(p) / static_cast<float>(rows);
    turn(pairs(), static_cast<std::int64_t>(p), k.row_span(p), kDim);
  }
  return k;
}

SyntheticContext context(std::int64_t length, std::uint64_t seed = 1) {
  return SyntheticContext(real_keys(), kDim, pairs(), length, seed);
}

Matrix<float> all_keys(const SyntheticContext& c) {
  Matrix<float> out(static_cast<std::size_t>(c.length()), kHeads * kDim);
  c.keys(0, out.view());
  return out;
}

// Before RoPE.
Matrix<float> turned_back(Matrix<float> k, const SyntheticContext* made = nullptr) {
  for (std::size_t p = 0; p < k.rows(); ++p) {
    const auto pos = static_cast<std::int64_t>(p);
    turn(pairs(), -(made != nullptr ? made->phase(pos) : pos), k.row_span(p), kDim);
  }
  return k;
}
Matrix<float> plain_keys(const SyntheticContext& c) { return turned_back(all_keys(c), &c); }

TEST(SyntheticContext, TurningBackIsTheIdentity) {
  for (const bool interleaved : {false, true}) {
    const Matrix<float> before = testing::random_matrix(1, kHeads * kDim, 9);
    Matrix<float> x = testing::random_matrix(1, kHeads * kDim, 9);
    turn(pairs(interleaved), 2'000'003, x.row_span(0), kDim);
    EXPECT_GT(std::abs(x.row(0)[0] - before.row(0)[0]), 1e-3f);
    for (std::size_t d : {6u, 7u, 14u, 15u}) EXPECT_EQ(x.row(0)[d], before.row(0)[d]);
    turn(pairs(interleaved), -2'000'003, x.row_span(0), kDim);
    for (std::size_t d = 0; d < x.cols(); ++d)
      EXPECT_NEAR(x.row(0)[d], before.row(0)[d], 1e-6) << interleaved << " " << d;
  }
}

TEST(SyntheticContext, TurnsPairsByTheirAngle) {
  std::vector<float> x{1, 0, 0, 0};
  turn({{0.5, 0.25}, false}, 2, x, 4);
  EXPECT_NEAR(x[0], std::cos(1.0), 1e-6);
  EXPECT_NEAR(x[2], std::sin(1.0), 1e-6);
  x = {1, 0, 0, 0};
  turn({{0.5, 0.25}, true}, 2, x, 4);
  EXPECT_NEAR(x[1], std::sin(1.0), 1e-6);
}

TEST(SyntheticContext, BothEndsAreReal) {
  const SyntheticContext c = context(10000);
  EXPECT_EQ(c.head(), 128);
  EXPECT_EQ(c.tail(), 250);
  const Matrix<float> made = plain_keys(c), real = turned_back(real_keys());
  const auto expect_row = [&](std::int64_t pos, std::int64_t source) {
    EXPECT_EQ(c.source(pos), source);
    for (std::size_t d = 0; d < made.cols(); ++d)
      EXPECT_NEAR(made.row(static_cast<std::size_t>(pos))[d],
                  real.row(static_cast<std::size_t>(source))[d], 2e-5)
          << pos;
  };
  for (std::int64_t i = 0; i < c.head(); ++i) expect_row(i, i);
  for (std::int64_t i = 1; i <= c.tail(); ++i) expect_row(10000 - i, kReal - i);
}

TEST(SyntheticContext, KeepsMeanAndCovarianceOfEachHead) {
  const SyntheticContext c = context(30000);
  const Matrix<float> made = plain_keys(c), real = turned_back(real_keys());
  for (std::size_t h = 0; h < kHeads; ++h) {
    const auto between_ends = [&](const Matrix<float>& k) {
      const auto head = static_cast<std::size_t>(c.head()),
                 ends = static_cast<std::size_t>(c.head() + c.tail());
      return moments(MatView<const float>{k.row(head) + h * kDim, k.rows() - ends, kDim, k.cols()});
    };
    const Moments a = between_ends(real), b = between_ends(made);
    for (std::size_t d = 0; d < kDim; ++d) EXPECT_NEAR(a.mean[d], b.mean[d], 0.1) << h << " " << d;
    for (std::size_t i = 0; i < kDim * kDim; ++i)
      EXPECT_NEAR(a.covariance[i], b.covariance[i], 0.15) << h << " " << i;
  }
}

TEST(SyntheticContext, DriftsAsTheRealKeysDo) {
  const SyntheticContext c = context(16000);
  const Matrix<float> made = all_keys(c);  // dimensions 6 and 7 do not turn
  const double between = static_cast<double>(kReal - c.head() - c.tail());
  for (const std::size_t tenth : {1u, 5u, 8u}) {
    double sum = 0;
    for (std::size_t p = tenth * 1600; p < (tenth + 1) * 1600; ++p) sum += made.row(p)[kDim - 1];
    const double source =
        static_cast<double>(c.head()) + between * (static_cast<double>(tenth) + 0.5) / 10;
    EXPECT_NEAR(sum / 1600, 4 * source / kReal, 0.15) << tenth;
  }
}

TEST(SyntheticContext, DrawsRunsAndNoKeyTwice) {
  const SyntheticContext c = context(16000);
  std::int64_t consecutive = 0;
  for (std::int64_t p = c.head(); p + 1 < c.length() - c.tail(); ++p)
    consecutive += c.source(p + 1) == c.source(p) + 1;
  EXPECT_GT(consecutive, (c.length() - c.head() - c.tail()) * 62 / 64);
  const Matrix<float> plain = plain_keys(c);
  std::set<float> firsts;
  for (std::size_t p = 0; p < plain.rows(); ++p) firsts.insert(plain.row(p)[kDim - 2]);
  EXPECT_GT(firsts.size(), plain.rows() * 95 / 100);  // 8 copies of each real key, all different
}

TEST(SyntheticContext, IsTheSameForASeedAtAnyThreadsAndBlocks) {
  set_threads(1);
  const Matrix<float> one = all_keys(context(5000));
  set_threads(4);
  const SyntheticContext c = context(5000);
  Matrix<float> blocks(5000, kHeads * kDim);
  for (std::size_t first = 0; first < 5000; first += 700)
    c.keys(static_cast<std::int64_t>(first),
           blocks.view().row_range(first, std::min<std::size_t>(700, 5000 - first)));
  const Matrix<float> other = all_keys(context(5000, 2));
  set_threads(0);
  const std::size_t n = one.rows() * one.cols();
  EXPECT_TRUE(std::equal(one.data(), one.data() + n, blocks.data()));
  EXPECT_FALSE(std::equal(one.data(), one.data() + n, other.data()));
}

TEST(SyntheticContext, StaysWithinTheAnglesOfTheRealContext) {
  const SyntheticContext same = context(kReal), longer = context(20000);
  for (std::int64_t p = 0; p < kReal; ++p) EXPECT_EQ(same.phase(p), p);
  std::int64_t last = 0;
  for (std::int64_t p = 0; p < 20000; p += SyntheticContext::kRun) {
    EXPECT_NEAR(static_cast<double>(longer.phase(p)), static_cast<double>(p) / 10, 250) << p;
    EXPECT_GE(longer.phase(p), last - SyntheticContext::kRun);
    last = longer.phase(p);
  }
  EXPECT_EQ(longer.phase(19999), kReal - 1);
  const std::int64_t run = longer.head() + 5 * SyntheticContext::kRun;
  EXPECT_EQ(longer.phase(run + 63) - longer.phase(run), 63);
}

TEST(SyntheticContext, TakesShortContexts) {
  for (const std::int64_t length : {32, 100, 5000}) {
    const SyntheticContext c(real_keys(40), kDim, pairs(), length, 1);
    for (std::int64_t p = 0; p < length; ++p) {
      EXPECT_GE(c.source(p), 0);
      EXPECT_LT(c.source(p), 40);
    }
    EXPECT_EQ(all_keys(c).rows(), static_cast<std::size_t>(length));
  }
}

}  // namespace
}  // namespace ra::stats
