// SPDX-License-Identifier: Apache-2.0
#include "kernels/partial.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/random.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kDim = 5;

// A partial result with its own accumulator, from logits and values [n, kDim].
struct Part {
  explicit Part(const std::vector<float>& logits = {}, const float* values = nullptr) {
    partial.acc = acc.data();
    for (std::size_t i = 0; i < logits.size(); ++i) {
      float one[kDim];
      for (std::size_t j = 0; j < kDim; ++j) one[j] = values[i * kDim + j];
      merge(partial, {.max = logits[i], .sum = 1, .acc = one}, kDim);
    }
  }
  std::vector<float> acc = std::vector<float>(kDim, 0.0f);
  Partial partial;
};

std::vector<double> reference(const std::vector<float>& logits, const std::vector<float>& values) {
  double sum = 0;
  std::vector<double> out(kDim, 0.0);
  double max = -1e30;
  for (const float l : logits) max = std::max(max, static_cast<double>(l));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = std::exp(static_cast<double>(logits[i]) - max);
    sum += p;
    for (std::size_t j = 0; j < kDim; ++j) out[j] += p * static_cast<double>(values[i * kDim + j]);
  }
  for (double& v : out) v /= sum;
  return out;
}

TEST(PartialTest, EmptyPartsAreNeutralOnBothSides) {
  const std::vector<float> values = testing::random_floats(3 * kDim, 1);
  Part full({1, 2, 3}, values.data());
  const Part before({1, 2, 3}, values.data());
  merge(full.partial, Part().partial, kDim);
  EXPECT_EQ(full.partial.max, before.partial.max);
  EXPECT_EQ(full.partial.sum, before.partial.sum);
  EXPECT_EQ(full.acc, before.acc);

  Part empty;
  merge(empty.partial, before.partial, kDim);
  EXPECT_EQ(empty.partial.max, before.partial.max);
  EXPECT_EQ(empty.partial.sum, before.partial.sum);
  EXPECT_EQ(empty.acc, before.acc);

  Part nothing;
  merge(nothing.partial, Part().partial, kDim);
  EXPECT_EQ(nothing.partial.sum, 0);
  EXPECT_TRUE(std::isinf(nothing.partial.max));
}

TEST(PartialTest, AnySplitInAnyOrderEqualsTheWhole) {
  const std::size_t n = 40;
  const auto values = testing::random_floats(n * kDim, 2);
  const auto logits = testing::random_floats(n, 3, 8.0f);
  const auto want = reference(logits, values);
  for (std::size_t cut = 0; cut <= n; ++cut) {
    const auto at = static_cast<std::ptrdiff_t>(cut);
    Part left({logits.begin(), logits.begin() + at}, values.data());
    Part right({logits.begin() + at, logits.end()}, values.data() + cut * kDim);
    const bool left_first = cut % 2 == 0;
    Partial& joined = left_first ? left.partial : right.partial;
    merge(joined, left_first ? right.partial : left.partial, kDim);
    float out[kDim];
    finish(joined, out, kDim);
    for (std::size_t j = 0; j < kDim; ++j) EXPECT_NEAR(out[j], want[j], 1e-6) << "cut=" << cut;
  }
}

TEST(PartialTest, DominantTokenIsExactAndNothingOverflows) {
  const float big[] = {1, 2, 3, 4, 5}, small[] = {9, 9, 9, 9, 9};
  for (const bool dominant_first : {false, true}) {
    Part a({3e4f}, big), b({-3e4f}, small);
    Part& into = dominant_first ? a : b;
    merge(into.partial, dominant_first ? b.partial : a.partial, kDim);
    float out[kDim];
    finish(into.partial, out, kDim);
    for (std::size_t j = 0; j < kDim; ++j) EXPECT_EQ(out[j], big[j]);
  }
}

}  // namespace
}  // namespace ra::kernels
