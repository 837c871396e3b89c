// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/attention_mass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/stats/random_head.h"

namespace ra::stats {
namespace {

AttentionLoss loss_of(const RandomHead& h, const ExactReference& r, std::size_t query,
                      const std::vector<std::uint32_t>& ids) {
  const Naive x = naive_attention(h.data, query);
  std::vector<float> scores;
  for (const auto id : ids) scores.push_back(x.scores[id]);
  return attention_loss(h.data, r, query, ids, scores);
}

TEST(AttentionLoss, EverythingRetrievedIsFullAttention) {
  RandomHead h(9, 200, 12, 16, 8);
  const ExactReference r = exact_reference(h.data, 10);
  std::vector<std::uint32_t> all(200);
  std::iota(all.begin(), all.end(), 0u);
  for (std::size_t i = 0; i < 9; ++i) {
    const AttentionLoss loss = loss_of(h, r, i, all);
    EXPECT_NEAR(loss.mass_k, 1, 1e-6);
    EXPECT_NEAR(loss.mass_all, 1, 1e-6);
    EXPECT_LT(loss.output_rel_l2, 1e-6);
    EXPECT_NEAR(loss.output_cosine, 1, 1e-12);
  }
}

TEST(AttentionLoss, EqualsTheDefinition) {
  RandomHead h(5, 60, 7, 8, 6);
  const ExactReference r = exact_reference(h.data, 4);
  const std::vector<std::uint32_t> ids{3, 59, 20};
  for (std::size_t i = 0; i < 5; ++i) {
    const Naive x = naive_attention(h.data, i);
    const AttentionLoss loss = loss_of(h, r, i, ids);
    double of_k = 0, of_s = 0, returned = 0, best = 0;
    for (std::size_t j = 0; j < x.weights.size(); ++j) (j < 60 ? of_k : of_s) += x.weights[j];
    for (const auto id : ids) returned += x.weights[id];
    for (std::size_t j = 0; j < 4; ++j) best += x.weights[x.order[j]];
    EXPECT_NEAR(loss.mass_k, returned / of_k, 1e-7);
    EXPECT_NEAR(loss.mass_all, of_s + returned, 1e-7);
    EXPECT_NEAR(loss.mass_ratio, returned / best, 1e-6);

    std::vector<double> out(6, 0);
    for (std::size_t j = 0; j < 6; ++j) {
      for (const auto id : ids) out[j] += x.weights[id] * static_cast<double>(h.values.row(id)[j]);
      for (std::size_t s = 0; s < h.data.visible[i]; ++s)
        out[j] += x.weights[60 + s] * static_cast<double>(h.static_values.row(s)[j]);
      out[j] /= of_s + returned;
    }
    double error = 0, norm = 0, dot = 0, norm2 = 0;
    for (std::size_t j = 0; j < 6; ++j) {
      error += (out[j] - x.output[j]) * (out[j] - x.output[j]);
      norm += x.output[j] * x.output[j];
      norm2 += out[j] * out[j];
      dot += out[j] * x.output[j];
    }
    EXPECT_NEAR(loss.output_rel_l2, std::sqrt(error / norm), 1e-5);
    EXPECT_NEAR(loss.output_cosine, dot / std::sqrt(norm * norm2), 1e-5);
  }
}

TEST(AttentionLoss, NothingRetrievedLeavesTheStaticSet) {
  RandomHead h(3, 30, 5, 8, 4);
  const ExactReference r = exact_reference(h.data, 2);
  const AttentionLoss with = loss_of(h, r, 2, {});
  EXPECT_EQ(with.mass_k, 0);
  EXPECT_GT(with.mass_all, 0);
  EXPECT_TRUE(std::isfinite(with.output_rel_l2));
  // The first query sees no static row either: there is no output, and no number pretends so.
  EXPECT_TRUE(std::isnan(loss_of(h, r, 0, {}).output_rel_l2));
}

TEST(AttentionLoss, WithoutValuesThereIsMassButNoOutput) {
  RandomHead h(2, 30, 5, 8, 4);
  h.data.values = {};
  const ExactReference r = exact_reference(h.data, 2);
  const AttentionLoss loss = attention_loss(h.data, r, 1, r.top_ids(1), r.top_scores(1));
  EXPECT_NEAR(loss.mass_ratio, 1, 1e-12);
  EXPECT_TRUE(std::isnan(loss.output_rel_l2));
  EXPECT_TRUE(std::isnan(loss.output_cosine));
}

}  // namespace
}  // namespace ra::stats
