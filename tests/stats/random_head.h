// SPDX-License-Identifier: Apache-2.0
// A random head and its attention by the definition, one key at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/stats/exact_attention.h"
#include "tests/support/random.h"

namespace ra::stats {

using testing::random_matrix;

struct RandomHead {
  // Query i sees min(i, s) static rows, so the first one sees none.
  RandomHead(std::size_t m, std::size_t n, std::size_t s, std::size_t d, std::size_t dv)
      : queries(random_matrix(m, d, 1)),
        keys(random_matrix(n, d, 2)),
        values(random_matrix(n, dv, 3)),
        static_keys(random_matrix(s, d, 4)),
        static_values(random_matrix(s, dv, 5)),
        data{.queries = queries.view(),
             .keys = keys.view(),
             .values = values.view(),
             .static_keys = static_keys.view(),
             .static_values = static_values.view(),
             .visible = {},
             .scale = 0.7} {
    for (std::size_t i = 0; i < m; ++i) data.visible.push_back(std::min(i, s));
  }
  Matrix<float> queries, keys, values, static_keys, static_values;
  HeadData data;
};

struct Naive {
  std::vector<float> scores;         // [n] inner products with K
  std::vector<std::uint32_t> order;  // best first, ties to the smaller id
  double lse_keys = 0, lse_static = 0;
  std::vector<double> weights;  // softmax over K and S: K first
  std::vector<double> output;
};

inline Naive naive_attention(const HeadData& h, std::size_t query) {
  const auto dot = [&](MatView<const float> k, std::size_t i) {
    double sum = 0;
    for (std::size_t j = 0; j < k.cols; ++j)
      sum += static_cast<double>(h.queries.row(query)[j]) * static_cast<double>(k.row(i)[j]);
    return sum;
  };
  Naive x;
  std::vector<double> logits;
  for (std::size_t i = 0; i < h.keys.rows; ++i) {
    x.scores.push_back(static_cast<float>(dot(h.keys, i)));
    logits.push_back(h.scale * dot(h.keys, i));
  }
  for (std::size_t i = 0; i < h.visible[query]; ++i)
    logits.push_back(h.scale * dot(h.static_keys, i));
  x.order.resize(h.keys.rows);
  std::iota(x.order.begin(), x.order.end(), 0u);
  std::stable_sort(x.order.begin(), x.order.end(),
                   [&](auto a, auto b) { return x.scores[a] > x.scores[b]; });
  double sum_k = 0, sum_s = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    (i < h.keys.rows ? sum_k : sum_s) += std::exp(logits[i]);
  x.lse_keys = std::log(sum_k);
  x.lse_static = std::log(sum_s);
  x.output.assign(h.values.cols, 0);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    x.weights.push_back(std::exp(logits[i]) / (sum_k + sum_s));
    const float* v = i < h.keys.rows ? h.values.row(i) : h.static_values.row(i - h.keys.rows);
    for (std::size_t j = 0; j < h.values.cols; ++j)
      x.output[j] += x.weights[i] * static_cast<double>(v[j]);
  }
  return x;
}

}  // namespace ra::stats
