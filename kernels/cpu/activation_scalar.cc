// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/activation.h"

namespace ra::kernels {

template <>
void swiglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

template <>
void geglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = gate[i];
    const float twice_z = kGeluSlope * (g + kGeluCubic * g * g * g);
    gate[i] = g / (1.0f + std::exp(-twice_z)) * up[i];
  }
}

}  // namespace ra::kernels
