// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/sparsity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/stats/random_head.h"

namespace ra::stats {
namespace {

TEST(Sparsity, EqualsTheDefinition) {
  RandomHead h(7, 90, 6, 8, 1);
  const std::vector<std::size_t> ks{1, 10, 90};
  const Sparsity s = sparsity(h.data, 2, ks);
  const Naive first = naive_attention(h.data, 0);
  for (std::size_t i = 0; i < 7; ++i) {
    const Naive x = naive_attention(h.data, i);
    double of_k = 0, sink = 0, window = 0, entropy = 0;
    for (std::size_t j = 0; j < x.weights.size(); ++j) {
      (j < 90 ? of_k : j < 92 ? sink : window) += x.weights[j];
      entropy -= x.weights[j] * std::log(x.weights[j]);
    }
    for (std::size_t t = 0; t < ks.size(); ++t) {
      double own = 0, fixed = 0;
      for (std::size_t j = 0; j < ks[t]; ++j) {
        own += x.weights[x.order[j]];
        fixed += x.weights[first.order[j]];
      }
      EXPECT_NEAR(s.recovery_dynamic[t][i], own / of_k, 1e-12);
      EXPECT_NEAR(s.recovery_static[t][i], fixed / of_k, 1e-12);
    }
    EXPECT_NEAR(s.sink[i], sink, 1e-12);
    EXPECT_NEAR(s.window[i], window, 1e-12);
    EXPECT_NEAR(s.entropy[i], entropy, 1e-10);
    for (std::size_t t = 0; t < kMassTargets.size(); ++t) {
      std::size_t n = 0;
      for (double sum = 0; sum / of_k < kMassTargets[t] - 1e-12; ++n) sum += x.weights[x.order[n]];
      EXPECT_EQ(s.k_for[t][i], static_cast<double>(n)) << kMassTargets[t];
    }
  }
}

TEST(Sparsity, UniformAttentionIsKnownInClosedForm) {
  RandomHead h(3, 100, 0, 4, 1);
  std::fill_n(h.keys.data(), 400, 0.5f);
  const Sparsity s = sparsity(h.data, 0, {10});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(s.recovery_dynamic[0][i], 0.1, 1e-12);
    EXPECT_NEAR(s.entropy[i], std::log(100.0), 1e-12);
    EXPECT_EQ(s.k_for[0][i], 50);
    EXPECT_EQ(s.k_for[1][i], 90);
    EXPECT_EQ(s.k_for[3][i], 99);
    EXPECT_EQ(s.sink[i] + s.window[i], 0);
  }
}

TEST(Sparsity, OneDominantKey) {
  RandomHead h(2, 50, 3, 4, 1);
  std::fill_n(h.queries.data(), 8, 1.0f);
  std::fill_n(h.keys.row(17), 4, 100.0f);
  const Sparsity s = sparsity(h.data, 1, {1});
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(s.recovery_dynamic[0][i], 1, 1e-12);
    EXPECT_NEAR(s.entropy[i], 0, 1e-9);
    EXPECT_EQ(s.k_for[3][i], 1);
    EXPECT_LT(s.sink[i] + s.window[i], 1e-12);
  }
}

}  // namespace
}  // namespace ra::stats
