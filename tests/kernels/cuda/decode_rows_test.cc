// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/decode_rows.h"

#include <bit>

#include "kernels/quant.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/quant_blocks.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;

class CudaDecodeRowsTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaDecodeRowsTest);

std::vector<std::uint32_t> bits(const std::vector<float>& values) {
  std::vector<std::uint32_t> out;
  for (const float v : values) out.push_back(std::bit_cast<std::uint32_t>(v));
  return out;
}

TEST_P(CudaDecodeRowsTest, HasTheBitsOfTheHostInEveryFormat) {
  const Stream stream;
  for (const kernels::QuantInfo& info : kernels::all_quants()) {
    const std::size_t rows = 5, cols = info.block == 1 ? 37 : 3 * info.block;
    const std::size_t row_bytes = cols / info.block * info.block_bytes;
    const auto raw = testing::random_blocks(info, rows * cols / info.block, 7);
    const OnDevice<std::byte> w(raw);
    const WeightRows weights{info.id, w.data(), rows, cols, row_bytes};
    for (const bool by_id : {false, true}) {
      const std::vector<std::int32_t> ids{4, 0, 4};
      const OnDevice<std::int32_t> dids(ids);
      const std::size_t first = 2, count = 3, stride = cols + 1;
      const OnDevice<float> out(std::vector<float>(count * stride, 3.0f));
      decode_rows(stream.get(), DecodeRowsArgs<float>{.w = weights,
                                                      .ids = by_id ? dids.data() : nullptr,
                                                      .first = first,
                                                      .count = count,
                                                      .out = out.data(),
                                                      .out_stride = stride});
      std::vector<float> want(count * stride, 3.0f);
      for (std::size_t i = 0; i < count; ++i)
        info.decode(raw.data() + (by_id ? static_cast<std::size_t>(ids[i]) : first + i) * row_bytes,
                    want.data() + i * stride, cols);
      EXPECT_EQ(bits(out.host(stream)), bits(want)) << info.name << (by_id ? " by id" : "");
    }
  }
}

TEST_P(CudaDecodeRowsTest, ScalesAndRoundsToBf16) {
  const Stream stream;
  const kernels::QuantInfo& info = kernels::quant_info(kernels::Quant::kQ4_K);
  const auto raw = testing::random_blocks(info, 2, 7);
  const OnDevice<std::byte> w(raw);
  const OnDevice<bf16> out(std::vector<bf16>(512));
  decode_rows(stream.get(), DecodeRowsArgs<bf16>{.w = {info.id, w.data(), 2, 256, info.block_bytes},
                                                 .count = 2,
                                                 .scale = 3,
                                                 .out = out.data(),
                                                 .out_stride = 256});
  std::vector<float> want(512);
  info.decode(raw.data(), want.data(), 512);
  const auto got = out.host(stream);
  for (std::size_t i = 0; i < 512; ++i) ASSERT_EQ(got[i].bits, to_bf16(want[i] * 3).bits) << i;
}

}  // namespace
}  // namespace ra::cuda
