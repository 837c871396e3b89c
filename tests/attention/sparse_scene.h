// SPDX-License-Identifier: Apache-2.0
// A cache of random keys that SparseAttention decodes over.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "lib/attention/sparse.h"
#include "lib/core/matrix.h"
#include "tests/support/random.h"

namespace ra::attention {

using testing::random_matrix;

inline constexpr AttentionShape kShape{
    .layers = 2, .heads = 6, .kv_heads = 2, .head_dim = 16, .value_dim = 16};
inline constexpr std::int64_t kPrompt = 700;

class SparseTest : public ::testing::Test {
 protected:
  SparseTest()
      : cache_({.layers = kShape.layers,
                .kv_heads = kShape.kv_heads,
                .head_dim = kShape.head_dim,
                .value_dim = kShape.value_dim,
                .capacity = kPrompt + 600}) {
    append(kPrompt, 1);
  }
  void append(std::int64_t tokens, std::uint64_t seed) {
    for (int layer = 0; layer < kShape.layers; ++layer) {
      const auto n = static_cast<std::size_t>(tokens);
      const std::uint64_t s = seed * 10 + static_cast<std::uint64_t>(layer);
      cache_.append(layer, random_matrix(n, 32, s).view(), random_matrix(n, 32, s + 1000).view());
    }
  }
  SparseAttention make(const SparseOptions& options) {
    SparseAttention policy(kShape, options);
    policy.build(cache_, training, 1);
    return policy;
  }
  static Training training(int, int, std::int64_t, std::int64_t) {
    return {random_matrix(200, 16, 77), {}};
  }
  static SparseOptions with_index(const char* spec, int k, int effort = 0) {
    SparseOptions o{.sink = 16, .window = 64, .k = k, .effort = effort};
    if (*spec != '\0') o.index = index::check_index_spec(parse_specs(spec).front());
    return o;
  }
  Matrix<float> run(model::AttentionPolicy& policy, const Matrix<float>& q, int layer = 1) {
    Matrix<float> out(1, q.cols());
    stats_ = policy.attend({.layer = layer,
                            .pos = cache_.size(layer) - 1,
                            .q = q.view(),
                            .cache = &cache_,
                            .scale = 0.25f},
                           out.view());
    return out;
  }
  // Head h of `out` is attention over the static set of a prompt of kPrompt tokens and `keys` of
  // layer 1, by plain arithmetic.
  void expect_attention_over(const Matrix<float>& q, int h, std::set<std::int64_t> keys,
                             const Matrix<float>& out) const {
    expect_attention_over(q, h, std::move(keys), out, cache_.rows(1, h / 3));
  }
  static void expect_attention_over(const Matrix<float>& q, int h, std::set<std::int64_t> keys,
                                    const Matrix<float>& out, const kernels::KvRows& rows) {
    for (std::int64_t p = 0; p < kPrompt; ++p)
      if (p < 16 || p >= kPrompt - 64) keys.insert(p);
    std::vector<double> expected(16);
    double sum = 0;
    for (const std::int64_t p : keys) {
      double dot = 0;
      for (std::size_t d = 0; d < 16; ++d)
        dot += q.row(0)[static_cast<std::size_t>(h) * 16 + d] *
               to_float(static_cast<const bf16*>(rows.k)[static_cast<std::size_t>(p) * 16 + d]);
      const double w = std::exp(0.25 * dot);
      sum += w;
      for (std::size_t d = 0; d < 16; ++d)
        expected[d] +=
            w * to_float(static_cast<const bf16*>(rows.v)[static_cast<std::size_t>(p) * 16 + d]);
    }
    for (std::size_t d = 0; d < 16; ++d)
      EXPECT_NEAR(out.row(0)[static_cast<std::size_t>(h) * 16 + d], expected[d] / sum, 1e-5);
  }
  static double relative_l2(const Matrix<float>& a, const Matrix<float>& b) {
    double d = 0, n = 0;
    for (std::size_t i = 0; i < a.cols(); ++i) {
      d += std::pow(a.data()[i] - b.data()[i], 2);
      n += std::pow(a.data()[i], 2);
    }
    return std::sqrt(d / n);
  }

  model::KvCache cache_;
  model::AttendStats stats_;
};

}  // namespace ra::attention
