// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "kernels/mass.h"

namespace ra::kernels {

namespace {

struct Normal {
  float mean, deviation;  // of logits
};
Normal cell(const MassArgs& a, std::size_t g, std::size_t i) {
  const float reached = a.scale * a.gain[g] * a.spread[i];
  return {a.scale * a.promise[g * a.stride + i] - reached,
          std::min(reached / a.reach, kMostDeviation)};
}

float phi(float z) {
  z = std::clamp(z, -kMostSteps, kMostSteps);
  float p = 0;
  for (std::size_t i = std::size(kPhi); i-- > 0;) p = p * z * z + kPhi[i];
  return std::max(kPhiAtZero + z * p, 0.0f);
}

}  // namespace

template <>
void log_mass<Level::kScalar>(const MassArgs& a, float* out) noexcept {
  const auto logit = [&](std::size_t g, std::size_t i) {
    const auto [mean, deviation] = cell(a, g, i);
    return mean + a.log_size[i] + 0.5f * deviation * deviation;
  };
  for (std::size_t g = 0; g < a.group; ++g) {
    float most = -std::numeric_limits<float>::infinity(), sum = 0;
    for (std::size_t i = 0; i < a.n; ++i) most = std::max(most, logit(g, i));
    for (std::size_t i = 0; i < a.n; ++i) {
      const float mass = std::isfinite(most) ? std::exp(logit(g, i) - most) : 0;
      sum += mass;
      if (a.each != nullptr) a.each[g * a.stride + i] = mass;
    }
    if (a.peaks != nullptr) a.peaks[g] = most;
    out[g] = most + std::log(sum);
  }
}

template <>
void mass_below<Level::kScalar>(const BelowArgs& a, float* out) noexcept {
  const MassArgs& cells = a.cells;
  for (std::size_t g = 0; g < cells.group; ++g) {
    const float unit = std::exp(std::min(cells.peaks[g] - a.floors[g], kMostAbove));
    for (std::size_t i = 0; i < cells.n; ++i) {
      const auto [mean, spread] = cell(cells, g, i);
      const float deviation = std::max(spread, kLeastDeviation),
                  below = phi((a.floors[g] - mean) / deviation - deviation);
      out[g * cells.stride + i] = cells.each[g * cells.stride + i] * unit * below;
    }
  }
}

}  // namespace ra::kernels
