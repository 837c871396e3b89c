// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cost.h"

#include <gtest/gtest.h>

namespace ra::model {
namespace {

// Shapes of a layer of dim 8, ffn 12, 2 heads and 1 KV head of 4.
Weights two_layers() {
  static const std::byte data[1]{};
  const auto w = [](std::size_t rows, std::size_t cols) {
    return Weight{kernels::Quant::kF32, data, rows, cols, 4 * cols};
  };
  LayerWeights l;
  l.attn_norm = w(1, 8), l.ffn_norm = w(1, 8);
  l.wq = w(8, 8), l.wk = w(4, 8), l.wv = w(4, 8), l.wo = w(8, 8);
  l.gate = w(12, 8), l.up = w(12, 8), l.down = w(8, 12);
  Weights all{.token_embd = w(20, 8), .output_norm = w(1, 8), .output = w(20, 8)};
  all.layers = {l, l};
  return all;
}

Config config() {
  Config c;
  c.n_layers = 2, c.n_heads = 2, c.n_kv_heads = 1, c.head_dim = c.value_dim = 4;
  return c;
}

TEST(CostTest, WeightBytesLeaveOutTheEmbeddingTable) {
  const std::size_t layer = 8 + 8 + 64 + 32 + 32 + 64 + 96 + 96 + 96;
  EXPECT_EQ(weight_bytes(two_layers()), 4 * (2 * layer + 8 + 160));
}

TEST(CostTest, EveryPositionIsMultipliedAndTheHeadOnce) {
  const PrefillFlops f = prefill_flops(config(), two_layers(), 10);
  EXPECT_EQ(f.linear, 2 * (10 * 2 * (64 + 32 + 32 + 64 + 96 + 96 + 96) + 160));
  EXPECT_EQ(f.attention, 2 * (2 * 2 * (4 + 4) * 55));
  EXPECT_EQ(f.total(), f.linear + f.attention);
}

TEST(CostTest, AWindowBoundsTheKeysOfItsLayer) {
  Config c = config();
  c.windows = {3, 0};
  const double first = 1 + 2 + 3 * 8, second = 55;
  EXPECT_EQ(prefill_flops(c, two_layers(), 10).attention, 2 * 2 * (4 + 4) * (first + second));
  c.windows = {100, 0};  // longer than the prompt
  EXPECT_EQ(prefill_flops(c, two_layers(), 10).attention, 2 * 2 * (4 + 4) * 110);
}

}  // namespace
}  // namespace ra::model
