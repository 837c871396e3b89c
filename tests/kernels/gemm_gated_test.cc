// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_gated.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

struct Shape {
  std::size_t tokens, rows, cols;
  Quant gate, up;
  Activation activation = Activation::kSilu;
};

std::vector<std::byte> weights(const Shape& s, Quant type, std::uint64_t seed) {
  return testing::random_blocks(quant_info(type), s.rows * s.cols / quant_info(type).block, seed);
}

class GemmGatedTest : public ::testing::TestWithParam<std::tuple<Level, Shape>> {
 protected:
  void SetUp() override {
    if (!cpu_has(level)) GTEST_SKIP() << "this CPU lacks level " << level_name(level);
    const auto x = testing::random_floats(s.tokens * s.cols, 3);
    packed = AlignedBuffer<std::byte>(gemm_packed_bytes(s.tokens, s.cols));
    table.gemm_pack(x.data(), s.cols, s.tokens, s.cols, packed.data());
  }
  static std::size_t row_bytes(Quant type, std::size_t cols) {
    return cols / quant_info(type).block * quant_info(type).block_bytes;
  }

  // The products one by one, the activation, the packing.
  std::vector<std::byte> step_by_step() const {
    AlignedBuffer<std::byte> scratch(gemm_scratch_bytes(s.cols));
    const auto product = [&](Quant type, const std::vector<std::byte>& w) {
      std::vector<float> y(s.tokens * s.rows);
      table.gemm({.type = type,
                  .w = w.data(),
                  .row_bytes = row_bytes(type, s.cols),
                  .rows = s.rows,
                  .cols = s.cols,
                  .tokens = s.tokens,
                  .packed = packed.data(),
                  .y = y.data(),
                  .y_stride = s.rows,
                  .scratch = scratch.data()});
      return y;
    };
    std::vector<float> h = product(s.gate, gate);
    const std::vector<float> u = product(s.up, up);
    (s.activation == Activation::kSilu ? table.swiglu : table.geglu)(u.data(), h.data(), h.size());
    AlignedBuffer<std::byte> out(gemm_packed_bytes(s.tokens, s.rows));
    table.gemm_pack(h.data(), s.rows, s.tokens, s.rows, out.data());
    return {out.data(), out.data() + out.size()};
  }

  std::vector<std::byte> fused(std::size_t piece) const {
    AlignedBuffer<std::byte> out(gemm_packed_bytes(s.tokens, s.rows));
    AlignedBuffer<std::byte> scratch(gated_scratch_bytes(s.tokens, s.cols));
    std::fill_n(out.data(), out.size(), std::byte{0x55});
    std::fill_n(scratch.data(), scratch.size(), std::byte{0xff});
    for (std::size_t r = 0; r < s.rows; r += piece) {
      const auto part = [&](Quant type, const std::vector<std::byte>& w) {
        const std::size_t bytes = row_bytes(type, s.cols);
        return WeightRows{.type = type, .w = w.data() + r * bytes, .row_bytes = bytes};
      };
      table.gemm_gated({.gate = part(s.gate, gate),
                        .up = part(s.up, up),
                        .activation = s.activation,
                        .rows = std::min(piece, s.rows - r),
                        .cols = s.cols,
                        .tokens = s.tokens,
                        .packed = packed.data(),
                        .out = out.data(),
                        .out_cols = s.rows,
                        .first = r,
                        .scratch = scratch.data()});
    }
    return {out.data(), out.data() + out.size()};
  }

  const Level level = std::get<0>(GetParam());
  const Shape s = std::get<1>(GetParam());
  const OpTable& table = table_for(level);
  const std::vector<std::byte> gate = weights(s, s.gate, 1), up = weights(s, s.up, 2);
  AlignedBuffer<std::byte> packed;
};

TEST_P(GemmGatedTest, EqualsTheStepsItFusesBitForBit) {
  EXPECT_TRUE(fused(s.rows) == step_by_step());
}

TEST_P(GemmGatedTest, SplittingRowsChangesNoBit) {
  EXPECT_TRUE(fused(32) == fused(s.rows));
  EXPECT_TRUE(fused(96) == fused(s.rows));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, GemmGatedTest,
    ::testing::Combine(::testing::Values(Level::kAvx512, Level::kAmx),
                       ::testing::Values(Shape{1, 32, 32, Quant::kF32, Quant::kF32},
                                         Shape{33, 70, 96, Quant::kQ8_0, Quant::kQ4_1},
                                         Shape{16, 300, 1024, Quant::kQ5_0, Quant::kQ5_0},
                                         Shape{70, 160, 2304, Quant::kQ4_K,
                                               Quant::kQ6_K},  // several panels of columns
                                         Shape{45, 129, 1056, Quant::kBF16, Quant::kF16},
                                         Shape{33, 70, 96, Quant::kQ8_0, Quant::kQ4_1,
                                               Activation::kGelu})));

}  // namespace
}  // namespace ra::kernels
