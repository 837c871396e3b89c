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
};

// The mean of exp over normally distributed logits is exp(mean + variance / 2). A cell of a larger
// variance than the double of this is hardly that, and counts for no more.
inline constexpr float kMostHalfVariance = 2;

// out[g] = ln sum over i of size[i] * exp(scale * mean + variance / 2), or -infinity.
template <Level L>
void log_mass(const MassArgs& a, float* out) noexcept;

template <>
void log_mass<Level::kScalar>(const MassArgs& a, float* out) noexcept;
template <>
void log_mass<Level::kAvx2>(const MassArgs& a, float* out) noexcept;
template <>
void log_mass<Level::kAvx512>(const MassArgs& a, float* out) noexcept;

}  // namespace ra::kernels
