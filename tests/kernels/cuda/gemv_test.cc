// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/gemv.h"

#include <cmath>
#include <limits>

#include "kernels/gemv.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/quant_blocks.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;
using testing::random_floats;

class CudaGemvTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaGemvTest);

std::vector<std::byte> quantised_on_host(const std::vector<float>& x, std::size_t stride,
                                         std::size_t tokens, std::size_t cols) {
  std::vector<std::byte> out(tokens * kernels::quantized_row_bytes(cols));
  kernels::quantize_rows<kernels::Level::kScalar>(
      {.x = x.data(), .x_stride = stride, .tokens = tokens, .cols = cols}, out.data());
  return out;
}

TEST_P(CudaGemvTest, QuantisedRowsHaveTheBitsOfTheHost) {
  const Stream stream;
  for (const std::size_t cols : {1u, 31u, 32u, 45u, 256u, 257u, 300u}) {
    const std::size_t tokens = 3, stride = cols + 3;
    auto x = random_floats(tokens * stride, cols);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    x[stride] = std::numeric_limits<float>::infinity();
    x[2 * stride] = 0;
    const auto want = quantised_on_host(x, stride, tokens, cols);
    const OnDevice<float> dx(x, 1);
    const OnDevice<std::byte> out(std::vector<std::byte>(want.size(), std::byte{0xff}));
    quantize_rows(stream.get(), {dx.data(), stride, tokens, cols, out.data()});
    EXPECT_EQ(out.host(stream), want) << cols;
  }
}

// Sum of |w * x| of one row and token, the scale of rounding errors.
double size_of(const std::vector<float>& w, const float* x) {
  double sum = 0;
  for (std::size_t i = 0; i < w.size(); ++i)
    sum += std::fabs(static_cast<double>(w[i]) * static_cast<double>(x[i]));
  return sum;
}

TEST_P(CudaGemvTest, MatchesScalarInEveryFormat) {
  const Stream stream;
  for (const kernels::QuantInfo& info : kernels::all_quants())
    for (const bool integer : {true, false})
      for (const std::size_t tokens : {1u, 3u, 8u}) {
        const std::size_t rows = 7, cols = info.block == 1 ? 45 : info.block == 32 ? 9 * 32 : 512;
        const std::size_t row_bytes = cols / info.block * info.block_bytes, stride = cols + 1;
        const auto raw = testing::random_blocks(info, rows * cols / info.block, 5 + tokens);
        const auto x = random_floats(tokens * stride, 6), bias = random_floats(rows, 8);
        const auto quantised = quantised_on_host(x, stride, tokens, cols);
        const bool add = tokens == 3;
        std::vector<float> want = random_floats(tokens * (rows + 2), 9);
        const OnDevice<float> dx(x), dbias(bias, 1), dy(want, 1);
        const OnDevice<std::byte> w(raw), dq(quantised);
        gemv(stream.get(), {.w = {info.id, w.data(), rows, cols, row_bytes},
                            .x = dx.data(),
                            .x_stride = stride,
                            .tokens = tokens,
                            .quantized = integer ? dq.data() : nullptr,
                            .bias = dbias.data(),
                            .add = add,
                            .y = dy.data(),
                            .y_stride = rows + 2});
        (integer
             ? kernels::gemv<kernels::Level::kScalar>
             : kernels::gemv_f32<kernels::Level::kScalar>)({.type = info.id,
                                                            .w = raw.data(),
                                                            .row_bytes = row_bytes,
                                                            .rows = rows,
                                                            .x = {.x = x.data(),
                                                                  .x_stride = stride,
                                                                  .tokens = tokens,
                                                                  .cols = cols,
                                                                  .quantized = quantised.data()},
                                                            .y = want.data(),
                                                            .y_stride = rows + 2,
                                                            .add = add});
        const auto got = dy.host(stream);
        for (std::size_t t = 0; t < tokens; ++t)
          for (std::size_t r = 0; r < rows + 2; ++r) {
            const std::size_t i = t * (rows + 2) + r;
            if (r >= rows) {
              ASSERT_EQ(got[i], want[i]) << "wrote past the rows";
              continue;
            }
            std::vector<float> row(cols);
            info.decode(raw.data() + r * row_bytes, row.data(), cols);
            ASSERT_NEAR(got[i], want[i] + bias[r],
                        2e-6 * size_of(row, x.data() + t * stride) + 1e-6)
                << info.name << (integer ? "" : " f32") << " token " << t << " row " << r;
          }
      }
}

TEST_P(CudaGemvTest, ANanOfOneTokenReachesOnlyItsRow) {
  const Stream stream;
  const kernels::QuantInfo& info = kernels::quant_info(kernels::Quant::kQ8_0);
  const auto raw = testing::random_blocks(info, 8, 1);
  auto x = random_floats(2 * 64, 2);
  x[70] = std::numeric_limits<float>::quiet_NaN();
  const OnDevice<float> dx(x), dy(std::vector<float>(8));
  const OnDevice<std::byte> w(raw), q(std::vector<std::byte>(2 * kernels::quantized_row_bytes(64)));
  quantize_rows(stream.get(), {dx.data(), 64, 2, 64, q.data()});
  gemv(stream.get(), {.w = {info.id, w.data(), 4, 64, 68},
                      .x = dx.data(),
                      .x_stride = 64,
                      .tokens = 2,
                      .quantized = q.data(),
                      .y = dy.data(),
                      .y_stride = 4});
  const auto got = dy.host(stream);
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_TRUE(std::isfinite(got[r]));
    EXPECT_TRUE(std::isnan(got[4 + r]));
  }
}

}  // namespace
}  // namespace ra::cuda
