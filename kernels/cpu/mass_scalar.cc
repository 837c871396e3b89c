// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/mass.h"

namespace ra::kernels {

template <>
void log_mass<Level::kScalar>(const MassArgs& a, float* out) noexcept {
  const auto logit = [&](std::size_t g, std::size_t i) {
    const float reached = a.scale * a.gain[g] * a.spread[i], deviation = reached / a.reach;
    return a.scale * a.promise[g * a.stride + i] - reached + a.log_size[i] +
           std::min(0.5f * deviation * deviation, kMostHalfVariance);
  };
  for (std::size_t g = 0; g < a.group; ++g) {
    float most = -std::numeric_limits<float>::infinity(), sum = 0;
    for (std::size_t i = 0; i < a.n; ++i) most = std::max(most, logit(g, i));
    for (std::size_t i = 0; i < a.n && std::isfinite(most); ++i)
      sum += std::exp(logit(g, i) - most);
    out[g] = most + std::log(sum);
  }
}

}  // namespace ra::kernels
