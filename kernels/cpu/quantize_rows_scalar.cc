// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/cpu/act_scale.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

void quantize_block(const float* x, std::size_t n, std::size_t block, const QuantizedRow& out) {
  std::uint32_t max_bits = 0;  // of |x|: ordered as the numbers are, NaN above infinity
  for (std::size_t i = 0; i < n; ++i)
    max_bits = std::max(max_bits, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu);
  const ActScale s = act_scale(max_bits);
  int sum[2] = {0, 0};
  for (std::size_t i = 0; i < kActBlock; ++i) {
    const float scaled = i < n ? x[i] * s.inverse : 0.0f;
    const int rounded = s.is_bad ? 0 : static_cast<int>(std::nearbyint(scaled));
    const int high = (rounded + 128) >> 8, low = std::max(rounded - 256 * high, -127);
    out.high[block * kActBlock + i] = static_cast<std::int8_t>(high);
    out.low[block * kActBlock + i] = static_cast<std::int8_t>(low);
    sum[i / 16] += 256 * high + low;
  }
  out.scale[block] = s.scale;
  out.sum[block] = s.scale * static_cast<float>(sum[0] + sum[1]);
  out.half_sum[2 * block] = s.scale * static_cast<float>(sum[0]);
  out.half_sum[2 * block + 1] = s.scale * static_cast<float>(sum[1]);
}

}  // namespace

template <>
void quantize_rows<Level::kScalar>(const Activations& a, std::byte* out) noexcept {
  for (std::size_t t = 0; t < a.tokens; ++t) {
    const float* x = a.x + t * a.x_stride;
    const QuantizedRow row = quantized_row(out + t * quantized_row_bytes(a.cols), a.cols);
    for (std::size_t b = 0; b < act_blocks(a.cols); ++b) {
      const std::size_t first = b * kActBlock;
      const std::size_t left = first < a.cols ? a.cols - first : 0;
      quantize_block(left > 0 ? x + first : x, left < kActBlock ? left : kActBlock, b, row);
    }
  }
}

}  // namespace ra::kernels
