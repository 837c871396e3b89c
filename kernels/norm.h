// SPDX-License-Identifier: Apache-2.0
// RMS normalisation (Zhang and Sennrich, arXiv 1910.07467) of one row.
#pragma once

#include <cstddef>

#include "kernels/level.h"

namespace ra::kernels {

// y[i] = x[i] * r * gain[i], r = 1 / sqrt(mean(x^2) + eps), for i < n. x, gain, y [n]; y may be x.
// The sum of squares is taken in f64: at most its order differs between levels.
struct RmsNormArgs {
  const float* x = nullptr;
  const float* gain = nullptr;
  float* y = nullptr;
  std::size_t n = 0;
  float eps = 1e-5f;
};

template <Level L>
void rms_norm(const RmsNormArgs& a) noexcept;

template <>
void rms_norm<Level::kScalar>(const RmsNormArgs& a) noexcept;
template <>
void rms_norm<Level::kAvx2>(const RmsNormArgs& a) noexcept;
template <>
void rms_norm<Level::kAvx512>(const RmsNormArgs& a) noexcept;

}  // namespace ra::kernels
