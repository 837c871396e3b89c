// SPDX-License-Identifier: Apache-2.0
// How much of a softmax some keys hold that are known by cells only: by the score of each cell's
// mean, its size and its spread.
#pragma once

#include <cstddef>

#include "kernels/level.h"

namespace ra::kernels {

struct MassArgs {
  const float* promise = nullptr;  // [group, n], rows `stride` apart: score of the mean + gain[g] *
                                   // spread[i]; -infinity where there is no cell
  std::size_t stride = 0, group = 0, n = 0;
  const float* gain = nullptr;      // [group] `reach` standard deviations of a cell of spread 1
  const float* spread = nullptr;    // [n] >= 0
  const float* log_size = nullptr;  // [n] ln of the number of keys
  float scale = 1, reach = 1;       // logit = scale * score; both > 0
  // Null, or [group, n] as promise and [group]: peaks[g] = the largest logit of a cell, of all its
  // keys together, and each[g * stride + i] = exp(that of cell i - peaks[g]).
  float *each = nullptr, *peaks = nullptr;
};

// The mean of exp over normally distributed logits is exp(mean + variance / 2). A cell of a larger
// deviation than this is hardly that, and counts for no more.
inline constexpr float kMostDeviation = 2, kMostHalfVariance = kMostDeviation * kMostDeviation / 2;

// out[g] = ln sum over i of size[i] * exp(scale * mean + variance / 2), or -infinity.
template <Level L>
void log_mass(const MassArgs& a, float* out) noexcept;

// What of a cell lies below a logit, if its logits are normal, of a deviation of at most
// kMostDeviation: out[g * stride + i] = size[i] * E[exp(x - floors[g]); x < floors[g]]
//   = each[g * stride + i] * exp(peaks[g] - floors[g]) * Phi((floors[g] - mean) / deviation -
//   deviation),
// each and peaks as log_mass left them; Phi within 0.002, 0 from -kMostSteps down. `out` may be
// `each`. Where a peak lies more than kMostAbove above its floor, what is below counts for less.
struct BelowArgs {
  MassArgs cells;
  const float* floors = nullptr;  // [group]
};
template <Level L>
void mass_below(const BelowArgs& a, float* out) noexcept;

// Phi(z) = kPhiAtZero + z * (sum of kPhi[i] * z^2i), |z| <= kMostSteps; where that ends it is below
// 0, which means 0, for what it is multiplied with may be large.
inline constexpr float kPhiAtZero = 0.49999f;
inline constexpr float kPhi[] = {0.3929554f, -0.05661499f, 0.005281363f, -0.0001982774f};
inline constexpr float kMostAbove = 60, kMostSteps = 3, kLeastDeviation = 1e-4f;

template <>
void log_mass<Level::kScalar>(const MassArgs& a, float* out) noexcept;
template <>
void log_mass<Level::kAvx2>(const MassArgs& a, float* out) noexcept;
template <>
void log_mass<Level::kAvx512>(const MassArgs& a, float* out) noexcept;
template <>
void mass_below<Level::kScalar>(const BelowArgs& a, float* out) noexcept;
template <>
void mass_below<Level::kAvx2>(const BelowArgs& a, float* out) noexcept;
template <>
void mass_below<Level::kAvx512>(const BelowArgs& a, float* out) noexcept;

}  // namespace ra::kernels
