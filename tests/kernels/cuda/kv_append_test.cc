// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/kv_append.h"

#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using kernels::KvType;
using testing::OnDevice;
using testing::random_floats;

class CudaKvAppendTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaKvAppendTest);

TEST_P(CudaKvAppendTest, RowsGoToTheirHeadAndPosition) {
  const Stream stream;
  const std::size_t heads = 3, dim = 10, capacity = 9, tokens = 4, pos = 2,
                    stride = heads * dim + 1;
  const auto x = random_floats(tokens * stride, 1);
  const OnDevice<float> dx(x), f32(std::vector<float>(heads * capacity * dim, 5.0f));
  const OnDevice<bf16> b16(std::vector<bf16>(heads * capacity * dim, to_bf16(5.0f)));
  kv_append(stream.get(),
            {dx.data(), stride, tokens, heads, dim, capacity, pos, KvType::kF32, f32.data()});
  kv_append(stream.get(),
            {dx.data(), stride, tokens, heads, dim, capacity, pos, KvType::kBf16, b16.data()});
  const auto wide = f32.host(stream);
  const auto narrow = b16.host(stream);
  for (std::size_t h = 0; h < heads; ++h)
    for (std::size_t p = 0; p < capacity; ++p)
      for (std::size_t j = 0; j < dim; ++j) {
        const std::size_t i = (h * capacity + p) * dim + j;
        const bool filled = p >= pos && p < pos + tokens;
        const float want = filled ? x[(p - pos) * stride + h * dim + j] : 5.0f;
        ASSERT_EQ(wide[i], want);
        ASSERT_EQ(narrow[i].bits, to_bf16(want).bits);
      }
}

}  // namespace
}  // namespace ra::cuda
