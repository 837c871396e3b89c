// SPDX-License-Identifier: Apache-2.0
#include "kernels/partial.h"

#include <algorithm>
#include <cmath>

namespace ra::kernels {

void merge(Partial& a, const Partial& b, std::size_t dim) noexcept {
  if (b.sum == 0) return;  // both empty would give exp(-inf + inf) = NaN
  // Each factor is exp of a number <= 0, so rescaling cannot overflow; exp(0) is exactly 1, so the
  // side that holds the maximum passes through unrounded.
  const float max = std::max(a.max, b.max);
  const float scale_a = std::exp(a.max - max), scale_b = std::exp(b.max - max);
  for (std::size_t i = 0; i < dim; ++i) a.acc[i] = scale_a * a.acc[i] + scale_b * b.acc[i];
  a.sum = scale_a * a.sum + scale_b * b.sum;
  a.max = max;
}

void finish(const Partial& p, float* out, std::size_t dim) noexcept {
  for (std::size_t i = 0; i < dim; ++i) out[i] = p.acc[i] / p.sum;
}

}  // namespace ra::kernels
