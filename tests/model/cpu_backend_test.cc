// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/core/parallel.h"
#include "tests/support/levels.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/random.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

using testing::random_matrix;

using kernels::Quant;

struct OwnedWeight {
  OwnedWeight(Quant type, std::size_t rows, std::size_t cols, std::uint64_t seed = 1) {
    const kernels::QuantInfo& info = kernels::quant_info(type);
    bytes = testing::random_blocks(info, rows * cols / info.block, seed);
    w = {.type = type,
         .data = bytes.data(),
         .rows = rows,
         .cols = cols,
         .row_bytes = cols / info.block * info.block_bytes};
  }
  std::vector<std::byte> bytes;
  Weight w;
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

class CpuBackendTest : public testing::LevelTest {
 protected:
  void SetUp() override {
    testing::LevelTest::SetUp();
    if (!IsSkipped()) kernels::set_active_level(level());
  }
  void TearDown() override {
    kernels::set_active_level(kernels::best_level());
    set_threads(0);
  }
  test::ReferenceBackend reference_;
};
RA_INSTANTIATE_LEVELS(CpuBackendTest);

TEST_P(CpuBackendTest, MatmulMatchesTheReferenceAtEveryRowCount) {
  CpuBackend fast, exact(Compute::kF32);
  const OwnedWeight bias(Quant::kF32, 1, 51, 7);
  for (const Quant type : {Quant::kF32, Quant::kF16, Quant::kBF16, Quant::kQ5_0, Quant::kQ8_0,
                           Quant::kQ4_K, Quant::kQ6_K}) {
    const OwnedWeight w(type, 51, 256);
    for (const std::size_t tokens : {1u, 8u, 9u, 35u}) {
      SCOPED_TRACE(::testing::Message() << kernels::quant_info(type).name << " tokens=" << tokens);
      const auto x = random_matrix(tokens, 256, 2);
      for (const bool with_bias : {false, true}) {
        Matrix<float> want(tokens, 51), got(tokens, 51), got_f32(tokens, 51);
        const Weight b = with_bias ? bias.w : Weight{};
        reference_.matmul(x.view(), {{w.w, b, want.view()}});
        fast.matmul(x.view(), {{w.w, b, got.view()}});
        exact.matmul(x.view(), {{w.w, b, got_f32.view()}});
        EXPECT_LE(relative_error(got, want), 1e-2);
        EXPECT_LE(relative_error(got_f32, want), 2e-6);
      }
      Matrix<float> sum_want = random_matrix(tokens, 51, 3), sum = random_matrix(tokens, 51, 3);
      reference_.matmul_add(w.w, x.view(), sum_want.view());
      exact.matmul_add(w.w, x.view(), sum.view());
      EXPECT_LE(relative_error(sum, sum_want), 2e-6);
    }
  }
}

TEST_P(CpuBackendTest, MatmulTakesViewsWithAStride) {
  CpuBackend exact(Compute::kF32);
  const OwnedWeight w(Quant::kQ8_0, 70, 96);
  for (const std::size_t tokens : {3u, 20u}) {
    const auto wide = random_matrix(tokens, 200, 2);
    Matrix<float> want(tokens, 70), y(tokens, 90);
    std::fill_n(y.data(), tokens * 90, 7.0f);
    const MatView<const float> x{wide.data() + 11, tokens, 96, 200};
    reference_.matmul(x, {{w.w, {}, want.view()}});
    exact.matmul(x, {{w.w, {}, MatView<float>{y.data() + 5, tokens, 70, 90}}});
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t c = 0; c < 90; ++c) {
        if (c < 5 || c >= 75)
          ASSERT_EQ(y.row(t)[c], 7.0f) << "written outside the view";
        else
          ASSERT_NEAR(y.row(t)[c], want.row(t)[c - 5], 1e-4);
      }
  }
}

TEST_P(CpuBackendTest, AnyNumberOfThreadsGivesTheSameBits) {
  const OwnedWeight w(Quant::kQ4_K, 300, 1280), bias(Quant::kF32, 1, 300);
  for (const Compute compute : {Compute::kAuto, Compute::kF32})
    for (const std::size_t tokens : {1u, 7u, 70u}) {
      const auto x = random_matrix(tokens, 1280, 2);
      Matrix<float> first;
      for (const int n : {1, 2, 5}) {
        set_threads(n);
        CpuBackend backend(compute);
        Matrix<float> y(tokens, 300);
        backend.matmul(x.view(), {{w.w, bias.w, y.view()}});
        if (n == 1)
          first = std::move(y);
        else
          EXPECT_TRUE(same_bits(first, y)) << "threads=" << n << " tokens=" << tokens;
      }
    }
}

TEST_P(CpuBackendTest, ManyTokensAreSplitAmongManyThreads) {
  set_threads(9);
  CpuBackend exact(Compute::kF32);
  const OwnedWeight w(Quant::kF32, 40, 64);
  const auto x = random_matrix(700, 64, 2);
  Matrix<float> want(700, 40), got(700, 40);
  reference_.matmul(x.view(), {{w.w, {}, want.view()}});
  exact.matmul(x.view(), {{w.w, {}, got.view()}});
  EXPECT_LE(relative_error(got, want), 2e-6);
}

TEST_P(CpuBackendTest, EmbedNormAndAddMatchTheReference) {
  CpuBackend backend;
  const OwnedWeight table(Quant::kQ8_0, 50, 96), gain(Quant::kF32, 1, 96, 4),
      gain16(Quant::kF16, 1, 96, 4);
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 70; ++i) ids.push_back(i * 7 % 50);
  for (const std::size_t n : {1u, 70u}) {
    const std::span<const std::int32_t> some(ids.data(), n);
    Matrix<float> want(n, 96), got(n, 96);
    for (const float scale : {25.3f, 1.0f}) {
      reference_.embed(table.w, some, scale, want.view());
      backend.embed(table.w, some, scale, got.view());
      EXPECT_TRUE(same_bits(got, want));
    }
    for (const Weight& g : {gain.w, gain16.w}) {
      Matrix<float> norm_want(n, 96), norm(n, 96);
      reference_.rms_norm(want.view(), g, 1e-5f, norm_want.view());
      backend.rms_norm(want.view(), g, 1e-5f, norm.view());
      EXPECT_LE(relative_error(norm, norm_want), 1e-6);
      backend.rms_norm(got.view(), g, 1e-5f, got.view());  // in place
      EXPECT_TRUE(same_bits(got, norm));
      backend.embed(table.w, some, 1, got.view());
    }
    reference_.add(got.view(), want.view());
    backend.add(got.view(), got.view());
    EXPECT_TRUE(same_bits(got, want));
  }
}

TEST_P(CpuBackendTest, SeveralProductsAreAsOneByOne) {
  const OwnedWeight a(Quant::kQ4_K, 70, 256), b(Quant::kF16, 9, 256), c(Quant::kQ8_0, 33, 256),
      bias_a(Quant::kF16, 1, 70, 4), bias_c(Quant::kF16, 1, 33, 5);
  for (const Compute compute : {Compute::kAuto, Compute::kF32})
    for (const std::size_t tokens : {1u, 8u, 40u}) {
      CpuBackend backend(compute);
      const auto x = random_matrix(tokens, 256, 2);
      Matrix<float> ya(tokens, 70), yb(tokens, 9), yc(tokens, 33), za(tokens, 70), zb(tokens, 9),
          zc(tokens, 33);
      backend.matmul(
          x.view(), {{a.w, bias_a.w, ya.view()}, {b.w, {}, yb.view()}, {c.w, bias_c.w, yc.view()}});
      backend.matmul(x.view(), {{a.w, bias_a.w, za.view()}});
      backend.matmul(x.view(), {{b.w, {}, zb.view()}});
      backend.matmul(x.view(), {{c.w, bias_c.w, zc.view()}});
      EXPECT_TRUE(same_bits(ya, za) && same_bits(yb, zb) && same_bits(yc, zc)) << tokens;
    }
}

TEST_P(CpuBackendTest, FeedForwardMatchesTheReferenceAtEveryRowCount) {
  const OwnedWeight gate(Quant::kQ5_0, 224, 96, 1), up(Quant::kQ8_0, 224, 96, 2),
      down(Quant::kQ4_1, 96, 224, 3);
  CpuBackend fast, exact(Compute::kF32);
  for (const std::size_t tokens : {1u, 8u, 9u, 70u}) {
    for (const Activation activation : {Activation::kSilu, Activation::kGelu})
      for (const bool add : {true, false}) {
        const FeedForward w{gate.w, up.w, down.w, activation, add};
        const auto h = random_matrix(tokens, 96, 4);
        auto want = random_matrix(tokens, 96, 5), got = random_matrix(tokens, 96, 5),
             got_f32 = random_matrix(tokens, 96, 5);
        reference_.feed_forward(w, h.view(), want.view());
        fast.feed_forward(w, h.view(), got.view());
        exact.feed_forward(w, h.view(), got_f32.view());
        EXPECT_LE(relative_error(got, want), 1e-2) << tokens;
        EXPECT_LE(relative_error(got_f32, want), 3e-6) << tokens;
        if (add) continue;
        auto in_place = random_matrix(tokens, 96, 4);
        fast.feed_forward(w, in_place.view(), in_place.view());
        EXPECT_TRUE(same_bits(in_place, got)) << tokens;
      }
  }
}

TEST_P(CpuBackendTest, RopeFollowsPositionAndFrequencies) {
  CpuBackend backend;
  std::vector<double> slow, fast;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(std::pow(1e6, -i / 8.0));
    fast.push_back(std::pow(1e4, -i / 8.0));
  }
  // Angles are kept between calls: each call differs from the one before in one thing.
  struct Call {
    const std::vector<double>* inv_freq;
    std::int64_t pos;
    std::size_t tokens;
    float magnitude;
    bool interleaved;
  };
  const Call calls[] = {{&slow, 5, 40, 1, false},       {&slow, 6, 40, 1, false},
                        {&fast, 6, 40, 1, false},       {&fast, 6, 41, 1, false},
                        {&fast, 6, 41, 1.5f, false},    {&fast, 6, 41, 1.5f, true},
                        {&fast, 130000, 1, 1.5f, true}, {&slow, 130000, 1, 1, false}};
  for (const Call& c : calls) {
    const Rope rope{.interleaved = c.interleaved,
                    .head_dim = 20,
                    .rotary_dims = 16,
                    .inv_freq = *c.inv_freq,
                    .magnitude = c.magnitude};
    auto want = random_matrix(c.tokens, 60, 9), got = random_matrix(c.tokens, 60, 9);
    reference_.rope(rope, c.pos, want.view());
    backend.rope(rope, c.pos, got.view());
    EXPECT_LE(relative_error(got, want), 3e-7) << "pos=" << c.pos << " tokens=" << c.tokens;
  }
}

}  // namespace
}  // namespace ra::model
