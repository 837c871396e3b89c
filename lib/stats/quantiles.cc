// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/quantiles.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

namespace ra::stats {

double quantile_sorted(std::span<const double> ascending, double p) {
  RA_CHECK(!ascending.empty() && p >= 0 && p <= 1);
  const double position = p * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  if (below + 1 >= ascending.size()) return ascending.back();
  const double fraction = position - static_cast<double>(below);
  // Not a + f (b - a): that is NaN between two equal infinities.
  if (fraction == 0) return ascending[below];
  return ascending[below] * (1 - fraction) + ascending[below + 1] * fraction;
}

double quantile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return quantile_sorted(values, p);
}

double pairwise_sum(std::span<const double> values) {
  if (values.size() <= 16) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum;
  }
  const std::size_t half = values.size() / 2;
  return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
}

double mean(std::span<const double> values) {
  RA_CHECK(!values.empty());
  return pairwise_sum(values) / static_cast<double>(values.size());
}

Summary summarise(std::vector<double> values) {
  RA_CHECK(!values.empty());
  Summary s;
  s.n = values.size();
  s.mean = mean(values);
  std::vector<double> squares(values.size());
  std::transform(values.begin(), values.end(), squares.begin(),
                 [&](double v) { return (v - s.mean) * (v - s.mean); });
  if (s.n > 1) s.stddev = std::sqrt(pairwise_sum(squares) / static_cast<double>(s.n - 1));
  std::sort(values.begin(), values.end());
  s.min = values.front();
  s.p05 = quantile_sorted(values, 0.05);
  s.p50 = quantile_sorted(values, 0.50);
  s.p95 = quantile_sorted(values, 0.95);
  s.p99 = quantile_sorted(values, 0.99);
  s.max = values.back();
  return s;
}

}  // namespace ra::stats
