// SPDX-License-Identifier: Apache-2.0
// Quantiles and the summary every result record carries.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ra::stats {

// Quantile p in [0, 1] of ascending values by linear interpolation between order statistics
// (type 7 of Hyndman and Fan, 1996; the default of NumPy and R). Requires a non-empty set.
double quantile_sorted(std::span<const double> ascending, double p);
double quantile(std::vector<double> values, double p);

// Sum by pairwise halving: the error grows with log n instead of n.
double pairwise_sum(std::span<const double> values);
double mean(std::span<const double> values);

struct Summary {
  std::size_t n = 0;
  double mean = 0;
  double stddev = 0;  // with n - 1; 0 for a single value
  double min = 0, p05 = 0, p50 = 0, p95 = 0, p99 = 0, max = 0;
};

// Requires a non-empty set.
Summary summarise(std::vector<double> values);

}  // namespace ra::stats
