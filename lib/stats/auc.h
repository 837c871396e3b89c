// SPDX-License-Identifier: Apache-2.0
// Area under the ROC curve: how well one number separates two samples.
#pragma once

#include <span>

namespace ra::stats {

// P(a > b) + P(a = b) / 2 for a drawn from `higher` and b from `lower`: the Mann-Whitney U divided
// by the number of pairs. 0.5 = the samples cannot be told apart, 1 = separated. Requires both
// non-empty.
double auc(std::span<const double> higher, std::span<const double> lower);

}  // namespace ra::stats
