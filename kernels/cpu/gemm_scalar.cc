// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

namespace ra::kernels {

template <>
void gemm<Level::kScalar>(const GemmArgs& a) noexcept {
  float* w = reinterpret_cast<float*>(a.scratch);
  for (std::size_t r = 0; r < a.rows; ++r) {
    quant_info(a.type).decode(a.w + r * a.row_bytes, w, a.cols);
    for (std::size_t t = 0; t < a.tokens; ++t) {
      float* y = a.y + t * a.y_stride + r;
      const float* x = a.x + t * a.x_stride;
      float sum = a.add ? *y : a.bias != nullptr ? a.bias[r] : 0;
      for (std::size_t c = 0; c < a.cols; ++c) sum += w[c] * x[c];
      *y = sum;
    }
  }
}

}  // namespace ra::kernels
