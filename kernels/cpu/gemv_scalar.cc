// SPDX-License-Identifier: Apache-2.0
// The meaning of gemv: what the fast versions compute, up to the order of their f32 sums.
#include "kernels/cpu/formats.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

// sum over one row of (scale * q - min) * x, with x = scale_x * (256 * high + low).
template <class F>
double dot_row(const std::uint8_t* row, const QuantizedRow& x, std::size_t cols) {
  double sum = 0;
  Unpacked u;
  for (std::size_t b = 0; b < cols / kActBlock; ++b) {
    const std::size_t col = b * kActBlock;
    F::unpack(row + col / F::kBlock * F::kBytes, col % F::kBlock / 32, u);
    for (std::size_t h = 0; h < 2; ++h) {
      int products = 0;
      for (std::size_t i = 16 * h; i < 16 * h + 16; ++i)
        products += u.q[i] * (256 * x.high[col + i] + x.low[col + i]);
      sum += static_cast<double>(u.scale[h] * x.scale[b] * static_cast<float>(products));
      sum -= static_cast<double>(u.min[h] * x.half_sum[2 * b + h]);
    }
  }
  return sum;
}

// F32, F16 and BF16 weights.
double dot_float_row(Quant type, const std::byte* row, const float* x, std::size_t cols) {
  const QuantInfo& info = quant_info(type);
  double sum = 0;
  for (std::size_t c = 0; c < cols; ++c) {
    float w = 0;
    info.decode(row + c * info.block_bytes, &w, 1);
    sum += static_cast<double>(w) * static_cast<double>(x[c]);
  }
  return sum;
}

}  // namespace

template <>
void gemv<Level::kScalar>(const GemvArgs& a) noexcept {
  const std::size_t cols = a.x.cols;
  for (std::size_t t = 0; t < a.x.tokens; ++t) {
    const float* x = a.x.x + t * a.x.x_stride;
    for (std::size_t r = 0; r < a.rows; ++r) {
      const std::byte* row = a.w + r * a.row_bytes;
      double sum = 0;
      const bool quantised = visit_format(a.type, [&]<class F>() {
        sum = dot_row<F>(reinterpret_cast<const std::uint8_t*>(row), quantized_row(a.x, t), cols);
      });
      if (!quantised) sum = dot_float_row(a.type, row, x, cols);
      float& y = a.y[t * a.y_stride + r];
      y = (a.add ? y : 0.0f) + static_cast<float>(sum);
    }
  }
}

}  // namespace ra::kernels
