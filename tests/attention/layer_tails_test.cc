// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/layer_tails.h"

#include <gtest/gtest.h>

#include "lib/core/parallel.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

constexpr AttentionShape kShape{
    .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .value_dim = 16};

model::KvCache cache_of(std::int64_t tokens) {
  model::KvCache cache(
      {.layers = 2, .kv_heads = 2, .head_dim = 16, .value_dim = 16, .capacity = tokens});
  for (int layer = 0; layer < 2; ++layer) {
    const auto seed = static_cast<std::uint64_t>(layer);
    const auto n = static_cast<std::size_t>(tokens);
    cache.append(layer, testing::random_matrix(n, 32, seed).view(),
                 testing::random_matrix(n, 32, seed + 10).view());
  }
  return cache;
}

double weight(const TailCells& cells) {
  const Matrix<float> q = testing::random_matrix(1, 16, 5);
  std::vector<float> acc(16);
  kernels::Partial part{.acc = acc.data()};
  TailCells::Scratch scratch;
  const std::span<const index::Hit> none;
  cells.estimate(q.view(), 0.25f, {&none, 1}, scratch, {&part, 1});
  return static_cast<double>(part.sum) + static_cast<double>(part.max);
}

TEST(LayerTails, CoverTheKeysBetweenSinkAndWindow) {
  const model::KvCache cache = cache_of(1500);
  LayerTails tails(kShape);
  tails.build(cache, 20, 1000, {}, 1);
  for (int layer = 0; layer < 2; ++layer)
    for (int kv = 0; kv < 2; ++kv) EXPECT_EQ(tails.at(layer, kv).keys(), 980u);
  EXPECT_EQ(tails.at(0, 0).cells(), 980u / kTailCellKeys);
  EXPECT_NE(weight(tails.at(0, 0)), weight(tails.at(0, 1)));
  EXPECT_NE(weight(tails.at(0, 0)), weight(tails.at(1, 0)));
  EXPECT_EQ(tails.bytes(), 4 * tails.at(0, 0).bytes());
}

TEST(LayerTails, FollowTheWindowAndForgetWhenItMovesBack) {
  const model::KvCache cache = cache_of(1800);
  LayerTails tails(kShape);
  tails.build(cache, 20, 1000, {}, 1);
  const double built = weight(tails.at(1, 0));
  tails.follow(cache, 1, 1255);
  EXPECT_EQ(tails.at(1, 0).keys(), 980u);  // 255 are no cell yet
  tails.follow(cache, 1, 1600);
  EXPECT_EQ(tails.at(1, 0).keys(), 980u + 512);
  EXPECT_EQ(tails.at(1, 1).keys(), 980u + 512);
  EXPECT_EQ(tails.at(0, 0).keys(), 980u) << "another layer";
  const double grown = weight(tails.at(1, 0));
  EXPECT_NE(grown, built);
  tails.follow(cache, 1, 1100);
  EXPECT_EQ(weight(tails.at(1, 0)), built);
  tails.follow(cache, 1, 1550);
  EXPECT_EQ(weight(tails.at(1, 0)), grown);
}

TEST(LayerTails, AreTheSameForAnyNumberOfThreadsAndLeaveWindowedLayersOut) {
  const model::KvCache cache = cache_of(1500);
  AttentionShape shape = kShape;
  shape.windowed = {true, false};
  std::vector<double> weights;
  for (const int n : {1, 3}) {
    set_threads(n);
    LayerTails tails(shape);
    tails.build(cache, 20, 1400, {}, 1);
    EXPECT_EQ(tails.at(0, 0).keys(), 0u);
    weights.push_back(weight(tails.at(1, 1)));
  }
  set_threads(0);
  EXPECT_EQ(weights[0], weights[1]);
}

}  // namespace
}  // namespace ra::attention
