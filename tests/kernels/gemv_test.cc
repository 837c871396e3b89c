// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemv.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "lib/core/matrix.h"
#include "tests/support/levels.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class GemvTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(GemvTest);

bool is_float(Quant type) {
  return type == Quant::kF32 || type == Quant::kF16 || type == Quant::kBF16;
}

// A weight matrix with random blocks and activations to multiply with.
struct Problem {
  Problem(const QuantInfo& format, std::size_t n_rows, std::size_t n_cols, std::size_t n_tokens,
          std::size_t shift = 0)
      : info(format),
        rows(n_rows),
        cols(n_cols),
        tokens(n_tokens),
        stride(cols + 3),
        row_bytes(cols / info.block * info.block_bytes),
        w(testing::random_blocks(info, rows * cols / info.block, rows + cols)),
        x(random_floats(tokens * stride, rows * cols)),
        quantized(tokens * quantized_row_bytes(cols)) {
    w.insert(w.begin(), shift, std::byte{0});
    args.type = info.id;
    args.w = w.data() + shift;
    args.row_bytes = row_bytes;
    args.rows = rows;
    args.x = {x.data(), stride, tokens, cols, quantized.data()};
    scalar_quantize();
  }
  void scalar_quantize() { quantize_rows<Level::kScalar>(args.x, quantized.data()); }

  std::vector<float> run(void (*op)(const GemvArgs&) noexcept, float before = 0, bool add = false) {
    std::vector<float> y(tokens * (rows + 2), before);
    args.y = y.data();
    args.y_stride = rows + 2;
    args.add = add;
    op(args);
    return y;
  }

  std::vector<float> weights(std::size_t r) const {
    std::vector<float> out(cols);
    info.decode(args.w + r * row_bytes, out.data(), cols);
    return out;
  }

  const QuantInfo& info;
  std::size_t rows, cols, tokens, stride, row_bytes;
  std::vector<std::byte> w;
  std::vector<float> x;
  AlignedBuffer<std::byte> quantized;
  GemvArgs args;
};

// sum over c of |w * x|, and of the offset terms that fast versions add and subtract again.
double magnitude(const Problem& p, std::size_t r, std::size_t t) {
  const auto w = p.weights(r);
  double sum = 0, largest = 0;
  for (std::size_t c = 0; c < p.cols; ++c) {
    sum += std::fabs(static_cast<double>(w[c]) * static_cast<double>(p.x[t * p.stride + c]));
    largest = std::max(largest, std::fabs(static_cast<double>(w[c])));
  }
  return sum + largest * static_cast<double>(p.cols);
}

void expect_same(const Problem& p, const std::vector<float>& got, const std::vector<float>& want,
                 const char* what) {
  for (std::size_t t = 0; t < p.tokens; ++t)
    for (std::size_t r = 0; r < p.rows; ++r) {
      const std::size_t i = t * (p.rows + 2) + r;
      ASSERT_NEAR(got[i], want[i], 1e-6 * magnitude(p, r, t))
          << what << " " << p.info.name << " rows=" << p.rows << " cols=" << p.cols
          << " tokens=" << p.tokens << " at row " << r << ", token " << t;
    }
}

std::vector<std::size_t> widths(const QuantInfo& info) {
  if (info.block == 1) return {1, 15, 16, 17, 63, 64, 130};
  if (info.block == 32) return {32, 64, 96, 160, 288, 896};
  return {256, 512, 768};
}

TEST_P(GemvTest, FastMatchesItsScalarDefinition) {
  for (const QuantInfo& info : all_quants())
    for (const std::size_t cols : widths(info))
      for (const std::size_t rows : {1u, 4u, 7u})
        for (const std::size_t tokens : {1u, 2u, 3u, 4u, 7u}) {
          Problem p(info, rows, cols, tokens, /*shift=*/rows % 3);
          const auto want = p.run(gemv<Level::kScalar>);
          expect_same(p, p.run(table().gemv), want, "gemv");
        }
}

TEST_P(GemvTest, F32MatchesF64) {
  for (const QuantInfo& info : all_quants())
    for (const std::size_t cols : widths(info))
      for (const std::size_t tokens : {1u, 3u}) {
        Problem p(info, 5, cols, tokens, /*shift=*/1);
        const auto got = p.run(table().gemv_f32);
        for (std::size_t t = 0; t < tokens; ++t)
          for (std::size_t r = 0; r < p.rows; ++r) {
            const auto w = p.weights(r);
            double want = 0, sum_abs = 0;
            for (std::size_t c = 0; c < cols; ++c) {
              const double v =
                  static_cast<double>(w[c]) * static_cast<double>(p.x[t * p.stride + c]);
              want += v;
              sum_abs += std::fabs(v);
            }
            ASSERT_NEAR(got[t * (p.rows + 2) + r], want, 1e-6 * sum_abs)
                << info.name << " cols=" << cols << " row " << r << " token " << t;
          }
      }
}

TEST_P(GemvTest, F32GoesOnPastOnePiece) {  // rows longer than the decoded piece of gemv.cc
  for (const Quant type : {Quant::kQ8_0, Quant::kF32}) {
    Problem p(quant_info(type), 3, 1024 * 2 + 96, 2);
    expect_same(p, p.run(table().gemv_f32), p.run(gemv_f32<Level::kScalar>), "gemv_f32");
  }
}

// Rounded activations cost at most half a step of 1/32639 of the block's largest activation each.
TEST_P(GemvTest, FastIsCloseToExact) {
  for (const QuantInfo& info : all_quants()) {
    Problem p(info, 8, 1536, 1);
    const auto exact = p.run(table().gemv_f32), fast = p.run(table().gemv);
    double error = 0, norm = 0;
    for (std::size_t r = 0; r < p.rows; ++r) {
      error += std::pow(static_cast<double>(fast[r] - exact[r]), 2);
      norm += std::pow(static_cast<double>(exact[r]), 2);
    }
    EXPECT_LT(std::sqrt(error / norm), is_float(info.id) ? 1e-5 : 1e-4) << info.name;
  }
}

TEST_P(GemvTest, AddsToWhatIsThereAndTouchesNothingElse) {
  for (const QuantInfo& info : all_quants()) {
    Problem p(info, 6, 256, 3);
    for (const auto op : {table().gemv, table().gemv_f32}) {
      const auto plain = p.run(op, 100.0f, false), added = p.run(op, 100.0f, true);
      for (std::size_t t = 0; t < p.tokens; ++t) {
        for (std::size_t r = 0; r < p.rows; ++r) {
          const std::size_t i = t * (p.rows + 2) + r;
          EXPECT_NEAR(added[i], 100.0f + plain[i], 1e-4f) << info.name;
        }
        for (std::size_t r = p.rows; r < p.rows + 2; ++r)
          EXPECT_EQ(plain[t * (p.rows + 2) + r], 100.0f) << info.name;
      }
    }
  }
}

TEST_P(GemvTest, ZeroRowsOrTokensDoNothing) {
  for (const QuantInfo& info : all_quants()) {
    Problem p(info, 4, 256, 1);
    p.args.rows = 0;
    EXPECT_EQ(p.run(table().gemv, 5.0f)[0], 5.0f);
    EXPECT_EQ(p.run(table().gemv_f32, 5.0f)[0], 5.0f);
    p.args.rows = 4;
    p.args.x.tokens = 0;
    EXPECT_EQ(p.run(table().gemv, 5.0f)[0], 5.0f);
    EXPECT_EQ(p.run(table().gemv_f32, 5.0f)[0], 5.0f);
  }
}

// An activation that is no number must not vanish in the rounding.
TEST_P(GemvTest, NanAndInfinityStayVisible) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const QuantInfo& info : all_quants()) {
      Problem p(info, 5, 512, 1);
      p.x[300] = bad;
      table().quantize_rows(p.args.x, p.quantized.data());
      for (const float y : {p.run(table().gemv)[4], p.run(table().gemv_f32)[0]})
        EXPECT_FALSE(std::isfinite(y)) << info.name;
    }
}

TEST_P(GemvTest, LargestIntegersDoNotOverflow) {
  Problem p(quant_info(Quant::kQ8_0), 5, 64, 1);
  for (std::size_t b = 0; b < 10; ++b) {
    testing::set_scale(Quant::kQ8_0, p.w.data() + 34 * b, 1.0f);
    std::memset(p.w.data() + 34 * b + 2, -128, 32);
  }
  for (const float x : {32639.0f, -32639.0f}) {
    std::fill(p.x.begin(), p.x.end(), x);
    table().quantize_rows(p.args.x, p.quantized.data());
    for (std::size_t r = 0; r < 5; ++r) EXPECT_EQ(p.run(table().gemv)[r], -128 * x * 64);
  }
}

class QuantizeRowsTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(QuantizeRowsTest);

TEST_P(QuantizeRowsTest, IsBitIdenticalToScalarAtEveryLengthAndShift) {
  for (std::size_t cols = 1; cols <= 300; cols += (cols < 130 ? 1 : 13))
    for (const std::size_t shift : {0u, 1u, 5u}) {
      const std::size_t tokens = 1 + cols % 3, stride = cols + shift;
      const auto x = random_floats(tokens * stride + shift, cols, 10);
      const Activations a{x.data() + shift, stride, tokens, cols, nullptr};
      const std::size_t bytes = tokens * quantized_row_bytes(cols);
      AlignedBuffer<std::byte> got(bytes), want(bytes);
      std::memset(got.data(), 0x55, bytes);
      std::memset(want.data(), 0xaa, bytes);
      quantize_rows<Level::kScalar>(a, want.data());
      table().quantize_rows(a, got.data());
      ASSERT_EQ(std::memcmp(got.data(), want.data(), bytes), 0) << cols << " shift " << shift;
    }
}

TEST_P(QuantizeRowsTest, ExtremeBlocksAreBitIdenticalToScalar) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  for (const float value : {0.0f, -0.0f, kTiny, 1e-37f, 1e-33f, 1e-30f, kMax, -kMax, kInf, -kInf,
                            std::numeric_limits<float>::quiet_NaN()}) {
    auto x = random_floats(96, 3);
    std::fill(x.begin() + 32, x.begin() + 64, value == kMax ? 1e38f : 0.0f);
    x[40] = value;
    const Activations a{x.data(), 96, 1, 96, nullptr};
    AlignedBuffer<std::byte> got(quantized_row_bytes(96)), want(quantized_row_bytes(96));
    quantize_rows<Level::kScalar>(a, want.data());
    table().quantize_rows(a, got.data());
    ASSERT_EQ(std::memcmp(got.data(), want.data(), got.size()), 0) << value;
    const QuantizedRow row = quantized_row(got.data(), 96);
    EXPECT_EQ(std::isnan(row.scale[1]), !std::isfinite(value)) << value;
    EXPECT_TRUE(std::isfinite(row.scale[0]) && std::isfinite(row.scale[2]));
  }
}

TEST(QuantizeRows, RoundsToNearestWithTheLargestAtTheEnd) {
  auto x = random_floats(64, 9);
  const Activations a{x.data(), 64, 1, 64, nullptr};
  AlignedBuffer<std::byte> out(quantized_row_bytes(64));
  quantize_rows<Level::kScalar>(a, out.data());
  const QuantizedRow row = quantized_row(out.data(), 64);
  for (std::size_t b = 0; b < 2; ++b) {
    int largest = 0, sum = 0;
    for (std::size_t i = 32 * b; i < 32 * b + 32; ++i) {
      const int whole = 256 * row.high[i] + row.low[i];
      EXPECT_LE(std::abs(static_cast<int>(row.low[i])), 127);
      const double step = static_cast<double>(row.scale[b]), value = static_cast<double>(x[i]);
      EXPECT_LE(std::fabs(step * whole - value), 1.501 * step);
      largest = std::max(largest, std::abs(whole));
      sum += whole;
    }
    EXPECT_EQ(largest, kActMax);
    EXPECT_EQ(row.sum[b], row.scale[b] * static_cast<float>(sum));
    EXPECT_NEAR(row.half_sum[2 * b] + row.half_sum[2 * b + 1], row.sum[b], 1e-5f);
  }
}

}  // namespace
}  // namespace ra::kernels
