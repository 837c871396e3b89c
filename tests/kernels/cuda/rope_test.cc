// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/rope.h"

#include <cmath>

#include "kernels/rope.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;
using testing::random_floats;

class CudaRopeTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaRopeTest);

TEST_P(CudaRopeTest, AnglesAreThoseOfTheHost) {
  const Stream stream;
  const std::vector<double> inv_freq{1, 0.3, 0.01, 1e-5, 1e-7};
  const std::size_t tokens = 3, pairs = inv_freq.size();
  const std::int64_t pos = 130000;
  const OnDevice<double> freq(inv_freq);
  const OnDevice<float> c(std::vector<float>(tokens * pairs)),
      s(std::vector<float>(tokens * pairs));
  rope_angles(stream.get(), {freq.data(), pos, tokens, pairs, 1.5f, c.data(), s.data()});
  const auto cos = c.host(stream), sin = s.host(stream);
  for (std::size_t t = 0; t < tokens; ++t)
    for (std::size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(pos + static_cast<std::int64_t>(t)) * inv_freq[i];
      EXPECT_NEAR(cos[t * pairs + i], 1.5 * std::cos(angle), 2e-7);
      EXPECT_NEAR(sin[t * pairs + i], 1.5 * std::sin(angle), 2e-7);
    }
}

TEST_P(CudaRopeTest, HasTheBitsOfTheScalarKernel) {
  const Stream stream;
  for (const bool interleaved : {false, true})
    for (const auto& [head_dim, rotary] :
         {std::pair<std::size_t, std::size_t>{64, 64}, {10, 6}, {80, 20}}) {
      const std::size_t heads = 3, tokens = 4, width = heads * head_dim, stride = width + 5;
      auto x = random_floats(tokens * stride, head_dim);
      const auto cos = random_floats(tokens * rotary / 2, 2),
                 sin = random_floats(tokens * rotary / 2, 3);
      const OnDevice<float> dx(x, 1), dcos(cos), dsin(sin);
      rope(stream.get(), {dx.data(), stride, tokens, heads, head_dim, rotary, dcos.data(),
                          dsin.data(), interleaved});
      for (std::size_t t = 0; t < tokens; ++t)
        kernels::rope<kernels::Level::kScalar>({x.data() + t * stride, cos.data() + t * rotary / 2,
                                                sin.data() + t * rotary / 2, heads, head_dim,
                                                rotary, interleaved});
      EXPECT_EQ(dx.host(stream), x) << head_dim << ' ' << interleaved;
    }
}

}  // namespace
}  // namespace ra::cuda
