// SPDX-License-Identifier: Apache-2.0
#include "lib/model/exact_attention.h"

#include <cmath>
#include <vector>

#include "lib/core/parallel.h"
#include "tests/support/levels.h"
#include "tests/support/random.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

struct Heads {
  int heads, kv_heads, dim;
};

// A cache filled with `keys` random rows, and `tokens` queries at its end.
class Scene {
 public:
  Scene(Heads h, std::int64_t keys, std::size_t tokens, KvType type)
      : cache({.layers = 2,
               .kv_heads = h.kv_heads,
               .head_dim = h.dim,
               .value_dim = h.dim,
               .capacity = keys,
               .type = type}),
        q(tokens, static_cast<std::size_t>(h.heads * h.dim)),
        pos(keys - static_cast<std::int64_t>(tokens)) {
    const auto rows = static_cast<std::size_t>(keys);
    Matrix<float> k(rows, static_cast<std::size_t>(h.kv_heads * h.dim)),
        v = Matrix<float>(rows, k.cols());
    fill(k, 1), fill(v, 2), fill(q, 3);
    cache.append(1, k.view(), v.view());
  }
  static void fill(Matrix<float>& m, std::uint64_t seed) {
    const auto values = testing::random_floats(m.rows() * m.cols(), seed);
    std::copy(values.begin(), values.end(), m.data());
  }
  AttendInput input() {
    return {1,     pos, q.view(), &cache, 1 / std::sqrt(static_cast<float>(cache.shape().head_dim)),
            window};
  }
  Matrix<float> run(AttentionPolicy& policy, AttendStats* stats = nullptr) {
    Matrix<float> out(q.rows(), q.cols());
    const AttendStats s = policy.attend(input(), out.view());
    if (stats != nullptr) *stats = s;
    return out;
  }

  KvCache cache;
  Matrix<float> q;
  std::int64_t pos;
  std::int64_t window = 0;
};

double relative_error(const Matrix<float>& got, const Matrix<float>& want) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < got.rows() * got.cols(); ++i) {
    const double w = static_cast<double>(want.data()[i]);
    error += std::pow(static_cast<double>(got.data()[i]) - w, 2), size += w * w;
  }
  return std::sqrt(error / size);
}

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  return std::equal(a.data(), a.data() + a.rows() * a.cols(), b.data());
}

class ExactAttentionTest : public testing::LevelTest {
 protected:
  void SetUp() override {
    testing::LevelTest::SetUp();
    if (!IsSkipped()) kernels::set_active_level(level());
  }
  void TearDown() override {
    kernels::set_active_level(kernels::best_level());
    set_threads(0);
  }
};
RA_INSTANTIATE_LEVELS(ExactAttentionTest);

TEST_P(ExactAttentionTest, MatchesTheReference) {
  test::ReferenceAttention reference;
  ExactAttention fast, exact(Compute::kF32);
  for (const Heads h : {Heads{14, 2, 64}, {4, 4, 20}})
    for (const KvType type : {KvType::kBf16, KvType::kF32, KvType::kInt8})
      for (const std::size_t tokens : {1u, 2u, 40u}) {
        SCOPED_TRACE(::testing::Message() << h.heads << "/" << h.kv_heads << " tokens=" << tokens);
        Scene scene(h, 80, tokens, type);
        const auto want = scene.run(reference);
        EXPECT_LE(relative_error(scene.run(exact), want), 1e-6);
        EXPECT_LE(relative_error(scene.run(fast), want), 6e-3);
      }
}

TEST_P(ExactAttentionTest, DecodeJoinsItsKeyRanges) {
  test::ReferenceAttention reference;
  ExactAttention fast, exact(Compute::kF32);
  for (const std::int64_t keys : {1, 1024, 1025, 2100}) {
    Scene scene({14, 2, 64}, keys, 1, KvType::kBf16);
    const auto want = scene.run(reference);
    EXPECT_LE(relative_error(scene.run(exact), want), 1e-6) << "keys=" << keys;
    EXPECT_LE(relative_error(scene.run(fast), want), 6e-3) << "keys=" << keys;
  }
}

TEST_P(ExactAttentionTest, AWindowLeavesTheLastKeys) {
  test::ReferenceAttention reference;
  ExactAttention exact(Compute::kF32);
  for (const std::size_t tokens : {1u, 300u})
    for (const std::int64_t window : {1, 200, 1200, 5000}) {
      Scene scene({4, 2, 32}, 1200, tokens, KvType::kBf16);
      const auto all = scene.run(exact);
      scene.window = window;
      const auto got = scene.run(exact);
      EXPECT_LE(relative_error(got, scene.run(reference)), 1e-6) << tokens << " window " << window;
      EXPECT_EQ(same_bits(got, all), window >= 1200) << tokens << " window " << window;
    }
}

TEST_P(ExactAttentionTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const std::size_t tokens : {1u, 80u, 512u})
    for (const std::int64_t window : {0, 300}) {
      Scene scene({14, 2, 64}, 1100, tokens, KvType::kBf16);
      scene.window = window;
      std::vector<Matrix<float>> results;
      for (const int n : {1, 2, 5, 16}) {
        set_threads(n);
        ExactAttention policy;
        results.push_back(scene.run(policy));
      }
      for (const auto& r : results)
        EXPECT_TRUE(same_bits(r, results[0])) << "tokens=" << tokens << " window=" << window;
    }
}

TEST_P(ExactAttentionTest, CountsTheBytesRead) {
  ExactAttention policy;
  AttendStats stats;
  Scene decode({14, 2, 64}, 300, 1, KvType::kBf16);
  decode.run(policy, &stats);
  EXPECT_EQ(stats.bytes, 300 * 2 * (64 + 64) * 2);
  EXPECT_EQ(stats.distances, 0);
  EXPECT_GT(stats.static_ms, 0);
  decode.window = 100;
  decode.run(policy, &stats);
  EXPECT_EQ(stats.bytes, 100 * 2 * (64 + 64) * 2);
  Scene prefill({4, 4, 20}, 30, 10, KvType::kF32);
  prefill.run(policy, &stats);
  EXPECT_EQ(stats.bytes, 30 * 4 * (20 + 20) * 4);
  prefill.window = 5;  // positions 20 to 29 see keys 16 to 29
  prefill.run(policy, &stats);
  EXPECT_EQ(stats.bytes, 14 * 4 * (20 + 20) * 4);
}

}  // namespace
}  // namespace ra::model
