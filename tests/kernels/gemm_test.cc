// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <cmath>
#include <vector>

#include "lib/core/matrix.h"
#include "tests/support/levels.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_blocks;
using testing::random_floats;

enum class Start { kZero, kBias, kAdd };

struct Shape {
  std::size_t tokens, rows, cols;
  Quant type = Quant::kF32;
  Start start = Start::kZero;
};

class Problem {
 public:
  explicit Problem(const Shape& shape)
      : s(shape),
        row_bytes(s.cols / quant_info(s.type).block * quant_info(s.type).block_bytes),
        w(random_blocks(quant_info(s.type), s.rows * s.cols / quant_info(s.type).block, 1)),
        x(random_floats(s.tokens * x_stride(), 2)),
        bias(random_floats(s.rows, 3)),
        y0(random_floats(s.tokens * y_stride(), 4)) {}

  std::size_t x_stride() const { return s.cols + 5; }
  std::size_t y_stride() const { return s.rows + 3; }

  // Result of one level, rows in pieces of `piece`; with packed activations if `bf16_tiles`.
  std::vector<float> run(const OpTable& table, bool bf16_tiles, std::size_t piece) const {
    AlignedBuffer<std::byte> scratch(gemm_scratch_bytes(s.cols)), packed;
    std::fill_n(scratch.data(), scratch.size(), std::byte{0xff});
    if (bf16_tiles) {
      packed = AlignedBuffer<std::byte>(gemm_packed_bytes(s.tokens, s.cols));
      table.gemm_pack(x.data(), x_stride(), s.tokens, s.cols, packed.data());
    }
    std::vector<float> y = y0;
    for (std::size_t r = 0; r < s.rows; r += piece)
      table.gemm({.type = s.type,
                  .w = w.data() + r * row_bytes,
                  .row_bytes = row_bytes,
                  .rows = std::min(piece, s.rows - r),
                  .cols = s.cols,
                  .x = x.data(),
                  .x_stride = x_stride(),
                  .tokens = s.tokens,
                  .packed = packed.data(),
                  .bias = s.start == Start::kBias ? bias.data() + r : nullptr,
                  .add = s.start == Start::kAdd,
                  .y = y.data() + r,
                  .y_stride = y_stride(),
                  .scratch = scratch.data()});
    return y;
  }

  // |error| <= f32: 2e-6, bf16 tiles: 2^-7 of sum |w x|: two factors, each rounded by at most 2^-8.
  void expect_matches_f64(const std::vector<float>& y, bool bf16_tiles) const {
    std::vector<float> row(s.cols);
    for (std::size_t r = 0; r < s.rows; ++r) {
      quant_info(s.type).decode(w.data() + r * row_bytes, row.data(), s.cols);
      for (std::size_t t = 0; t < s.tokens; ++t) {
        double want = s.start == Start::kAdd    ? y0[t * y_stride() + r]
                      : s.start == Start::kBias ? bias[r]
                                                : 0.0f;
        double size = std::fabs(want);
        for (std::size_t c = 0; c < s.cols; ++c) {
          const double p = static_cast<double>(row[c]) * static_cast<double>(x[t * x_stride() + c]);
          want += p, size += std::fabs(p);
        }
        ASSERT_NEAR(y[t * y_stride() + r], want, size * (bf16_tiles ? 0x1p-7 : 2e-6))
            << "t=" << t << " r=" << r;
      }
    }
    for (std::size_t t = 0; t < s.tokens; ++t)
      for (std::size_t r = s.rows; r < y_stride(); ++r)
        ASSERT_EQ(y[t * y_stride() + r], y0[t * y_stride() + r]) << "written past the row";
  }

  Shape s;
  std::size_t row_bytes;
  std::vector<std::byte> w;
  std::vector<float> x, bias, y0;
};

class GemmTest : public testing::LevelTest {
 protected:
  void check(const Shape& shape) const {
    SCOPED_TRACE(::testing::Message() << quant_info(shape.type).name << " tokens=" << shape.tokens
                                      << " rows=" << shape.rows << " cols=" << shape.cols
                                      << " start=" << static_cast<int>(shape.start));
    const Problem problem(shape);
    problem.expect_matches_f64(problem.run(table(), false, shape.rows), false);
    if (table().gemm_pack != nullptr)
      problem.expect_matches_f64(problem.run(table(), true, shape.rows), true);
  }
};
RA_INSTANTIATE_LEVELS(GemmTest);

TEST_P(GemmTest, MatchesF64AtOddSizes) {
  for (const std::size_t tokens : {1u, 2u, 5u, 12u, 13u, 31u, 32u, 33u, 67u})
    for (const std::size_t rows : {1u, 7u, 16u, 17u, 32u, 49u})
      for (const std::size_t cols : {1u, 31u, 32u, 70u})
        check({tokens, rows, cols, Quant::kF32, static_cast<Start>((tokens + rows + cols) % 3)});
}

TEST_P(GemmTest, MatchesF64ForEveryFormat) {
  for (const QuantInfo& info : all_quants())
    check({9, 19, info.block == 1 ? std::size_t{129} : 2 * info.block, info.id, Start::kAdd});
}

TEST_P(GemmTest, ManyColumnsAndRowsTakeSeveralPanels) {
  for (const Start start : {Start::kZero, Start::kBias, Start::kAdd}) {
    check({3, 37, 2304, Quant::kQ4_K, start});
    check({34, 300, 1056, Quant::kQ8_0, start});
  }
}

TEST_P(GemmTest, Bf16OperandsLoseNothing) {
  Problem problem({33, 35, 1100, Quant::kBF16, Start::kAdd});
  for (float& v : problem.x) v = to_float(to_bf16(v));
  if (table().gemm_pack != nullptr)
    problem.expect_matches_f64(problem.run(table(), true, 35), false);
}

TEST_P(GemmTest, SplittingRowsChangesNoBit) {
  const Problem problem({45, 143, 1280, Quant::kQ6_K, Start::kBias});
  for (const bool bf16_tiles : {false, true}) {
    if (bf16_tiles && table().gemm_pack == nullptr) continue;
    const auto whole = problem.run(table(), bf16_tiles, 143);
    for (const std::size_t piece : {1u, 16u, 31u, 32u, 100u})
      EXPECT_EQ(problem.run(table(), bf16_tiles, piece), whole) << "piece=" << piece;
  }
}

TEST(GemmPackTest, BlocksOfTokensCanBePackedAlone) {
  const OpTable& table = table_for(Level::kAvx512);
  if (!cpu_has(Level::kAvx512)) GTEST_SKIP() << "this CPU lacks level avx512";
  const std::size_t tokens = 75, cols = 45;
  const auto x = random_floats(tokens * cols, 1);
  AlignedBuffer<std::byte> whole(gemm_packed_bytes(tokens, cols)), parts(whole.size());
  table.gemm_pack(x.data(), cols, tokens, cols, whole.data());
  for (std::size_t t = 0; t < tokens; t += kGemmTokens)
    table.gemm_pack(x.data() + t * cols, cols, std::min(kGemmTokens, tokens - t), cols,
                    parts.data() + gemm_packed_bytes(t, cols));
  EXPECT_TRUE(std::equal(whole.span().begin(), whole.span().end(), parts.span().begin()));
}

}  // namespace
}  // namespace ra::kernels
