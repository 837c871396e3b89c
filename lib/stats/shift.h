// SPDX-License-Identifier: Apache-2.0
// Location shift between two sets of measurements (Hodges and Lehmann, 1963) with a bootstrap
// interval.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ra::stats {

// Median of the pairwise averages (d_i + d_j) / 2, i <= j, of a non-empty set of differences.
double hodges_lehmann(std::span<const double> differences);
// Median of b_j - a_i over all pairs of two non-empty sets.
double hodges_lehmann(std::span<const double> a, std::span<const double> b);

struct Shift {
  double estimate = 0, low = 0, high = 0;  // of b against a; interval at the given confidence
};

struct ShiftOptions {
  double confidence = 0.99;
  int resamples = 2000;
  std::uint64_t seed = 1;
};

// Paired: one difference per pair; pairs are resampled.
Shift paired_shift(std::span<const double> differences, const ShiftOptions& options);
// Unpaired: both sets are resampled on their own.
Shift unpaired_shift(std::span<const double> a, std::span<const double> b,
                     const ShiftOptions& options);

// Holm's step-down adjustment: p-values multiplied so that comparing each with alpha controls the
// family-wise error rate. Same order as given.
std::vector<double> holm(std::span<const double> p);

}  // namespace ra::stats
