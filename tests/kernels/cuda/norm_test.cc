// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/norm.h"

#include <cmath>
#include <limits>

#include "kernels/norm.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;
using testing::random_floats;

class CudaNormTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaNormTest);

TEST_P(CudaNormTest, MatchesScalarAtOddSizesAndOffsets) {
  const Stream stream;
  for (const std::size_t n : {1u, 2u, 31u, 33u, 64u, 255u, 257u, 1000u})
    for (const std::size_t shift : {0u, 1u, 7u}) {
      const std::size_t rows = 3, x_stride = n + 2, y_stride = n + 1;
      const auto x = random_floats(rows * x_stride, n), gain = random_floats(n, n + 1);
      const OnDevice<float> dx(x, shift), dgain(gain, shift),
          dy(std::vector<float>(rows * y_stride, 7.0f), shift);
      rms_norm(stream.get(),
               {dx.data(), x_stride, dgain.data(), dy.data(), y_stride, rows, n, 1e-5f});
      const auto got = dy.host(stream);
      for (std::size_t r = 0; r < rows; ++r) {
        std::vector<float> want(n);
        kernels::rms_norm<kernels::Level::kScalar>(
            {x.data() + r * x_stride, gain.data(), want.data(), n, 1e-5f});
        for (std::size_t i = 0; i < n; ++i)
          ASSERT_NEAR(got[r * y_stride + i], want[i], 3e-7f * std::fabs(want[i])) << n << ' ' << i;
        ASSERT_EQ(got[r * y_stride + n], 7.0f) << "wrote past the end, n=" << n;
      }
    }
}

TEST_P(CudaNormTest, WorksInPlaceAndKeepsNanVisible) {
  const Stream stream;
  auto x = random_floats(200, 1);
  const auto gain = random_floats(100, 2);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  x[104] = std::numeric_limits<float>::infinity();
  const OnDevice<float> dx(x), dgain(gain);
  rms_norm(stream.get(), {dx.data(), 100, dgain.data(), dx.data(), 100, 2, 100, 1e-6f});
  const auto got = dx.host(stream);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_TRUE(std::isnan(got[i])) << i;
  EXPECT_TRUE(std::isnan(got[104]));
}

}  // namespace
}  // namespace ra::cuda
