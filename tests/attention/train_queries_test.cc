// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/train_queries.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace ra::attention {
namespace {

model::Config small() {
  model::Config c;
  c.n_layers = 2;
  c.n_heads = 3;
  c.head_dim = 4;
  return c;
}

TEST(TrainQueries, KeepsEvenlySpreadPositionsWhateverTheChunks) {
  constexpr std::size_t kTokens = 10;
  Matrix<float> q(kTokens, 12);
  for (std::size_t t = 0; t < kTokens; ++t)
    for (std::size_t j = 0; j < 12; ++j) q.row(t)[j] = static_cast<float>(100 * t + j);
  for (const std::size_t chunk : {1u, 3u, 10u}) {
    TrainQueries sample(small(), kTokens, 4);  // stride 3: positions 0, 3, 6, 9
    for (int layer = 0; layer < 2; ++layer)
      for (std::size_t t = 0; t < kTokens; t += chunk) {
        const std::size_t rows = std::min(chunk, kTokens - t);
        sample.on_qkv({.layer = layer,
                       .pos = static_cast<std::int64_t>(t),
                       .q = q.view().row_range(t, rows),
                       .k = {},
                       .v = {}});
      }
    const auto head = sample.head(1, 2, 0, kTokens);
    ASSERT_EQ(head.rows(), 4u);
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_EQ(head.row(i)[1], to_float(to_bf16(static_cast<float>(300 * i + 9))));
    EXPECT_EQ(sample.sample().pos, (std::vector<std::int64_t>{0, 3, 6, 9}));
    const auto between = sample.between(1, 2, 3, 9);  // 3 and 6
    ASSERT_EQ(between.rows(), 2u);
    EXPECT_EQ(between.row(1)[3], head.row(2)[3]);
    EXPECT_EQ(sample.between(1, 2, 4, 6).rows(), 0u);
    // What a snapshot gives back is the same sample.
    model::QuerySample copy{sample.sample().pos, {}};
    for (const auto& rows : sample.sample().layers) {
      copy.layers.emplace_back(rows.rows(), rows.cols());
      std::copy_n(rows.data(), rows.rows() * rows.cols(), copy.layers.back().data());
    }
    const TrainQueries again(std::move(copy));
    for (int h = 0; h < 3; ++h)
      for (std::size_t i = 0; i < 16; ++i)
        EXPECT_EQ(again.head(1, h, 0, kTokens).data()[i], sample.head(1, h, 0, kTokens).data()[i]);
  }
}

TEST(TrainQueries, PositionsAreEvenAndAtMostAsManyAsAskedFor) {
  for (const std::int64_t tokens : {1, 7, 2048, 2049, 100'000})
    for (const std::int64_t most : {1, 3, 2048}) {
      const auto pos = train_positions(tokens, most);
      EXPECT_LE(std::ssize(pos), most);
      EXPECT_GE(2 * std::ssize(pos), std::min(tokens, most));
      EXPECT_EQ(pos.front(), 0);
      EXPECT_LT(pos.back(), tokens);
      for (std::size_t i = 2; i < pos.size(); ++i) ASSERT_EQ(pos[i] - pos[i - 1], pos[1] - pos[0]);
    }
}

TEST(TrainQueries, RowsAreThoseOfThePositionsOrEarlierOnes) {
  const std::vector<std::int64_t> pos{0, 3, 6, 9, 12};
  const auto rows = [&](std::int64_t begin, std::int64_t end, std::size_t fewest) {
    return training_rows(pos, begin, end, fewest);
  };
  EXPECT_EQ(rows(3, 10, 1), (std::pair<std::size_t, std::size_t>(1, 4)));
  EXPECT_EQ(rows(4, 100, 1), (std::pair<std::size_t, std::size_t>(2, 5)));
  EXPECT_EQ(rows(9, 12, 3), (std::pair<std::size_t, std::size_t>(1, 4))) << "too few";
  EXPECT_EQ(rows(3, 6, 4), (std::pair<std::size_t, std::size_t>(0, 4))) << "none earlier";
  EXPECT_EQ(rows(3, 6, 9), (std::pair<std::size_t, std::size_t>(0, 5))) << "all there are";
}

TEST(TrainQueries, IgnoresPositionsAfterThePrompt) {
  TrainQueries sample(small(), 2, 8);
  Matrix<float> q(1, 12);
  q.row(0)[0] = 5;
  sample.on_qkv({.layer = 0, .pos = 7, .q = q.view(), .k = {}, .v = {}});
  ASSERT_EQ(sample.head(0, 0, 0, 2).rows(), 2u);
  EXPECT_EQ(sample.head(0, 0, 0, 2).row(0)[0], 0);
}

TEST(BudgetRows, AreAtMost32OfTheLastQuarter) {
  std::vector<std::int64_t> pos(400);
  for (std::size_t i = 0; i < pos.size(); ++i) pos[i] = static_cast<std::int64_t>(7 * i);
  const auto rows = budget_rows(pos);
  EXPECT_EQ(rows.size(), 32u);
  EXPECT_EQ(rows.front(), 300u);
  EXPECT_GT(rows.back(), 390u);
  EXPECT_LT(rows.back(), 400u);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(budget_rows(std::span(pos).first(8)), (std::vector<std::size_t>{6, 7}));
  EXPECT_EQ(budget_rows(std::span(pos).first(1)), (std::vector<std::size_t>{0}));
  EXPECT_TRUE(budget_rows({}).empty());
}

}  // namespace
}  // namespace ra::attention
