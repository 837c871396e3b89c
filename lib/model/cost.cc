// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cost.h"

#include <algorithm>

namespace ra::model {
namespace {

double entries(const Weight& w) {
  return static_cast<double>(w.rows) * static_cast<double>(w.cols);
}

// Keys that `tokens` positions see, summed: all before them, or the last `window`.
double visible_keys(double tokens, double window) {
  const double growing = window > 0 ? std::min(tokens, window) : tokens;
  return growing * (growing + 1) / 2 + (tokens - growing) * window;
}

}  // namespace

std::size_t weight_bytes(const Weights& w) {
  const auto bytes = [](const Weight& t) { return t.rows * t.row_bytes; };
  std::size_t sum = bytes(w.output_norm) + bytes(w.output);
  for (const LayerWeights& l : w.layers)
    for (const Weight* t :
         {&l.attn_norm, &l.wq, &l.wk, &l.wv, &l.bq, &l.bk, &l.bv, &l.wo, &l.q_norm, &l.k_norm,
          &l.attn_post_norm, &l.ffn_norm, &l.gate, &l.up, &l.down, &l.ffn_post_norm})
      sum += bytes(*t);
  return sum;
}

PrefillFlops prefill_flops(const Config& c, const Weights& weights, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  PrefillFlops flops{.linear = 2 * entries(weights.output)};
  for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) {
    const LayerWeights& l = weights.layers[layer];
    for (const Weight* w : l.matrices()) flops.linear += 2 * n * entries(*w);
    flops.attention += 2.0 * c.n_heads * (c.head_dim + c.value_dim) *
                       visible_keys(n, static_cast<double>(c.window(static_cast<int>(layer))));
  }
  return flops;
}

}  // namespace ra::model
