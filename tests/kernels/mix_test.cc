// SPDX-License-Identifier: Apache-2.0
#include "kernels/mix.h"

#include <cstdint>
#include <vector>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class MixTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(MixTest);

TEST_P(MixTest, AddsWeightedRowsForEveryGroup) {
  for (std::size_t group = 1; group <= 17; ++group)
    for (const std::size_t n : {0u, 1u, 5u, 33u})
      for (const std::size_t dim : {16u, 48u, 128u}) {
        const std::size_t stride = n + 2, out_stride = dim + 3;
        const std::vector<float> weights = random_floats(group * stride, group),
                                 start = random_floats(group * out_stride, n + 1);
        std::vector<bf16> rows;
        for (const float x : random_floats(n * dim, dim)) rows.push_back(to_bf16(x));
        std::vector<float> out = start;
        table().mix_rows(
            {weights.data(), stride, group, rows.data(), n, dim, out.data(), out_stride});
        for (std::size_t g = 0; g < group; ++g)
          for (std::size_t j = 0; j < out_stride; ++j) {
            double want = static_cast<double>(start[g * out_stride + j]);
            for (std::size_t i = 0; i < n && j < dim; ++i)
              want += static_cast<double>(weights[g * stride + i]) *
                      static_cast<double>(to_float(rows[i * dim + j]));
            ASSERT_NEAR(out[g * out_stride + j], want, 2e-5) << group << ' ' << n << ' ' << dim;
          }
      }
}

TEST_P(MixTest, SumsRangesAndLeavesEmptyOnesAlone) {
  constexpr std::size_t kGroup = 3, kStride = 100;
  const std::vector<float> x = random_floats(kGroup * kStride, 5);
  std::vector<std::uint32_t> first, last;
  for (std::uint32_t length = 0; length <= 40; ++length)
    for (const std::uint32_t from : {0u, 3u, 59u}) {
      first.push_back(from);
      last.push_back(from + length);
    }
  const std::size_t ranges = first.size(), out_stride = ranges + 1;
  std::vector<float> out(kGroup * out_stride, 9.0f);
  table().sum_ranges(
      {x.data(), kStride, kGroup, first.data(), last.data(), ranges, out.data(), out_stride});
  for (std::size_t g = 0; g < kGroup; ++g) {
    EXPECT_EQ(out[g * out_stride + ranges], 9.0f) << "wrote past the end";
    for (std::size_t t = 0; t < ranges; ++t) {
      double want = first[t] == last[t] ? 9 : 0;
      for (std::uint32_t i = first[t]; i < last[t]; ++i)
        want += static_cast<double>(x[g * kStride + i]);
      EXPECT_NEAR(out[g * out_stride + t], want, 1e-5) << t;
    }
  }
}

}  // namespace
}  // namespace ra::kernels
