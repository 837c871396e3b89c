// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/proportion.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

namespace ra::stats {

std::pair<double, double> wilson_ci95(double share, std::size_t n) {
  RA_CHECK(n > 0 && share >= 0 && share <= 1);
  constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal distribution
  const double trials = static_cast<double>(n), z2 = kZ * kZ / trials;
  const double centre = (share + z2 / 2) / (1 + z2);
  const double half = kZ / (1 + z2) * std::sqrt(share * (1 - share) / trials + z2 / (4 * trials));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace ra::stats
