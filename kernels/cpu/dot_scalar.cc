// SPDX-License-Identifier: Apache-2.0
#include "kernels/dot.h"

namespace ra::kernels {

template <>
float dot<Level::kScalar>(const float* a, const float* b, std::size_t n) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <>
float dot_bf16<Level::kScalar>(const float* a, const bf16* b, std::size_t n) noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * to_float(b[i]);
  return sum;
}

}  // namespace ra::kernels
