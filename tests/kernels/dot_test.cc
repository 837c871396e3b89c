// SPDX-License-Identifier: Apache-2.0
#include "kernels/dot.h"

#include <cmath>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_bf16;
using testing::random_floats;

class DotTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(DotTest);

// Cancellation is no kernel error, so the tolerance grows with sum |a_i * b_i|.
template <class T>
void expect_close(float got, const float* a, const T* b, std::size_t n, std::size_t shift) {
  double want = 0, magnitude = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double p = static_cast<double>(a[i]) * static_cast<double>(to_float(b[i]));
    want += p;
    magnitude += std::fabs(p);
  }
  EXPECT_NEAR(got, want, 1e-6 * magnitude) << "n=" << n << " shift=" << shift;
}

TEST_P(DotTest, MatchesF64AtEveryTailAndShift) {
  for (std::size_t n = 0; n <= 130; ++n)
    for (const std::size_t shift : {0u, 1u, 7u}) {
      const auto a = random_floats(n + shift, n), b = random_floats(n + shift, n + 1000);
      const auto h = random_bf16(n + shift, n + 2000);
      const float* pa = a.data() + shift;
      expect_close(table().dot(pa, b.data() + shift, n), pa, b.data() + shift, n, shift);
      expect_close(table().dot_bf16(pa, h.data() + shift, n), pa, h.data() + shift, n, shift);
    }
}

TEST_P(DotTest, ReadsNothingPastTheEnd) {
  const float nan = std::nanf("");
  for (std::size_t n = 0; n <= 70; ++n) {
    std::vector<float> a(n + 70, nan), b(n + 70, nan);
    std::vector<bf16> h(n + 70, to_bf16(nan));
    for (std::size_t i = 0; i < n; ++i) a[i] = b[i] = 1, h[i] = to_bf16(1);
    EXPECT_EQ(table().dot(a.data(), b.data(), n), static_cast<float>(n));
    EXPECT_EQ(table().dot_bf16(a.data(), h.data(), n), static_cast<float>(n));
  }
}

}  // namespace
}  // namespace ra::kernels
