// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/norm.h"

namespace ra::kernels {

template <>
void rms_norm<Level::kScalar>(const RmsNormArgs& a) noexcept {
  double squares = 0;
  for (std::size_t i = 0; i < a.n; ++i)
    squares += static_cast<double>(a.x[i]) * static_cast<double>(a.x[i]);
  const double mean = a.n > 0 ? squares / static_cast<double>(a.n) : 0;
  const auto r = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(a.eps)));
  for (std::size_t i = 0; i < a.n; ++i) a.y[i] = a.x[i] * r * a.gain[i];
}

}  // namespace ra::kernels
