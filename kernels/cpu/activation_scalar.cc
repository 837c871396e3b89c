// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/activation.h"

namespace ra::kernels {

template <>
void swiglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

}  // namespace ra::kernels
