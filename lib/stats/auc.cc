// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/auc.h"

#include <algorithm>
#include <vector>

#include "lib/core/error.h"

namespace ra::stats {

double auc(std::span<const double> higher, std::span<const double> lower) {
  RA_CHECK(!higher.empty() && !lower.empty());
  std::vector<double> sorted(lower.begin(), lower.end());
  std::sort(sorted.begin(), sorted.end());
  double wins = 0;
  for (const double a : higher) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), a);
    wins += static_cast<double>(first - sorted.begin()) + static_cast<double>(last - first) / 2;
  }
  return wins / (static_cast<double>(higher.size()) * static_cast<double>(lower.size()));
}

}  // namespace ra::stats
