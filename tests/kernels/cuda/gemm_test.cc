// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/gemm.h"

#include <cmath>

#include "kernels/quant.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/quant_blocks.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;
using testing::random_floats;

class CudaGemmTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaGemmTest);

TEST_P(CudaGemmTest, MatchesF64InEveryFormat) {
  const Stream stream;
  Gemm gemm(stream.get());
  for (const kernels::QuantInfo& info : kernels::all_quants())
    for (const bool exact : {false, true})
      for (const bool add : {false, true}) {
        const std::size_t rows = 9, tokens = 11, cols = info.block == 1 ? 40 : info.block;
        const std::size_t row_bytes = cols / info.block * info.block_bytes;
        const std::size_t x_stride = cols + 3, y_stride = rows + 2;
        const auto raw = testing::random_blocks(info, rows * cols / info.block, 3);
        const auto x = random_floats(tokens * x_stride, 4), y = random_floats(tokens * y_stride, 5);
        const OnDevice<std::byte> w(raw);
        const OnDevice<float> dx(x), dy(y);
        gemm.multiply({.w = {info.id, w.data(), rows, cols, row_bytes},
                       .x = dx.data(),
                       .x_stride = x_stride,
                       .tokens = tokens,
                       .add = add,
                       .exact_f32 = exact,
                       .y = dy.data(),
                       .y_stride = y_stride});
        const auto got = dy.host(stream);
        for (std::size_t r = 0; r < rows; ++r) {
          std::vector<float> row(cols);
          info.decode(raw.data() + r * row_bytes, row.data(), cols);
          for (std::size_t t = 0; t < tokens; ++t) {
            double sum = add ? y[t * y_stride + r] : 0, size = 1e-3;
            for (std::size_t c = 0; c < cols; ++c) {
              const double product =
                  static_cast<double>(row[c]) * static_cast<double>(x[t * x_stride + c]);
              sum += product, size += std::fabs(product);
            }
            ASSERT_NEAR(got[t * y_stride + r], sum, (exact ? 1e-6 : 6e-3) * size)
                << info.name << " row " << r << " token " << t;
          }
        }
        ASSERT_EQ(got[rows], y[rows]) << "wrote past the rows";
      }
}

TEST(CudaGemm, PanelsHoldWholeRows) {
  EXPECT_EQ(Gemm::panel_rows(896, false), Gemm::kPanelBytes / 1792);
  EXPECT_EQ(Gemm::panel_rows(896, true), Gemm::kPanelBytes / 3584);
  EXPECT_EQ(Gemm::panel_rows(Gemm::kPanelBytes, false), 1u);
}

TEST_P(CudaGemmTest, MultipliesPlainMatrices) {
  const Stream stream;
  Gemm gemm(stream.get());
  const auto w = random_floats(5 * 8, 1), x = random_floats(3 * 7, 2);
  const OnDevice<float> dw(w), dx(x), dy(std::vector<float>(3 * 6));
  gemm.multiply(MatView<const float>(dw.data(), 5, 7, 8), {dx.data(), 3, 7}, {dy.data(), 3, 5, 6});
  const auto got = dy.host(stream);
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t r = 0; r < 5; ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < 7; ++c)
        sum += static_cast<double>(w[r * 8 + c]) * static_cast<double>(x[t * 7 + c]);
      EXPECT_NEAR(got[t * 6 + r], sum, 1e-5);
    }
}

}  // namespace
}  // namespace ra::cuda
