// SPDX-License-Identifier: Apache-2.0
// Wilcoxon's signed-rank test of paired differences (1945): the test whose estimate is the
// Hodges-Lehmann shift. It needs no distribution, only symmetry, which the difference of two runs
// under the same noise has.
#pragma once

#include <span>

namespace ra::stats {

// Probability that differences symmetric about `shift` have signed ranks as large as these: small =
// they surely lie above it. One-sided; exact up to 200 differences, ties included, beyond that by
// the normal approximation. Differences equal to `shift` are left out; 1 if none remain.
double signed_rank_p_above(std::span<const double> differences, double shift);

}  // namespace ra::stats
