// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/elementwise.h"

#include <cmath>
#include <limits>

#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using kernels::Activation;
using testing::OnDevice;
using testing::random_floats;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class CudaElementwiseTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaElementwiseTest);

TEST_P(CudaElementwiseTest, GatesMatchScalar) {
  const Stream stream;
  for (const std::size_t n : {1u, 31u, 257u, 1000u})
    for (const Activation activation : {Activation::kSilu, Activation::kGelu}) {
      auto gates = random_floats(n, n, 4);
      gates[0] = -90;  // exp overflows, the gate does not
      const auto up = random_floats(n, n + 1);
      auto want = gates;
      (activation == Activation::kSilu
           ? kernels::swiglu<kernels::Level::kScalar>
           : kernels::geglu<kernels::Level::kScalar>)(up.data(), want.data(), n);
      const OnDevice<float> dg(gates, 1), du(up, 3);
      gate(stream.get(), {du.data(), dg.data(), n, activation});
      const auto got = dg.host(stream);
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_NEAR(got[i], want[i], 2e-6f * std::fabs(want[i]) + 1e-30f) << n << ' ' << i;
    }
}

TEST_P(CudaElementwiseTest, AGateOfNanStaysNan) {
  const Stream stream;
  const OnDevice<float> dg({kNan, 1}), du({2, 2});
  gate(stream.get(), {du.data(), dg.data(), 2, Activation::kSilu});
  const auto got = dg.host(stream);
  EXPECT_TRUE(std::isnan(got[0]));
  EXPECT_TRUE(std::isfinite(got[1]));
}

TEST_P(CudaElementwiseTest, AddsRowsOrOneRowToAllAndSets) {
  const Stream stream;
  const auto x = random_floats(3 * 7, 1), y = random_floats(3 * 5, 2);
  for (const std::size_t y_stride : {5u, 0u})
    for (const bool add_to : {true, false}) {
      const OnDevice<float> dx(x), dy(y);
      add(stream.get(), {dy.data(), y_stride, dx.data(), 7, 3, 5, add_to});
      const auto got = dx.host(stream);
      for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t c = 0; c < 7; ++c) {
          const float old = x[r * 7 + c];
          const float want = c >= 5 ? old : y[r * y_stride + c] + (add_to ? old : 0.0f);
          EXPECT_EQ(got[r * 7 + c], want) << r << ' ' << c;
        }
    }
}

TEST_P(CudaElementwiseTest, FindsTheFirstRowThatIsNotFinite) {
  const Stream stream;
  const std::size_t rows = 40, cols = 33, stride = 35;
  for (const float bad : {kNan, kInf, -kInf})
    for (const std::size_t row : {0u, 17u, 39u}) {
      auto x = random_floats(rows * stride, 3);
      x[row * stride + 32] = bad;
      x[39 * stride] = bad;
      x[5 * stride + 34] = bad;  // between the rows
      const OnDevice<float> dx(x);
      const OnDevice<std::uint32_t> found({~0u});
      first_bad_row(stream.get(), {dx.data(), stride, rows, cols, found.data()});
      EXPECT_EQ(found.host(stream)[0], row);
    }
  const OnDevice<float> fine(random_floats(rows * stride, 3));
  const OnDevice<std::uint32_t> found({~0u});
  first_bad_row(stream.get(), {fine.data(), stride, rows, cols, found.data()});
  EXPECT_EQ(found.host(stream)[0], ~0u);
}

TEST_P(CudaElementwiseTest, NarrowsAsTheHostDoes) {
  const Stream stream;
  auto x = random_floats(4 * 9, 5);
  x[0] = kNan, x[1] = kInf, x[2] = -0.0f, x[3] = 1.00390625f;  // halfway between two bf16
  const OnDevice<float> dx(x);
  const OnDevice<bf16> out(std::vector<bf16>(4 * 7));
  narrow(stream.get(), {dx.data(), 9, 4, 7, out.data()});
  const auto got = out.host(stream);
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t c = 0; c < 7; ++c)
      EXPECT_EQ(got[r * 7 + c].bits, to_bf16(x[r * 9 + c]).bits) << r << ' ' << c;
}

}  // namespace
}  // namespace ra::cuda
