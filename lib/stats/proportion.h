// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

namespace ra::stats {

// 95 % interval of a share seen in n independent trials (Wilson, 1927). Unlike a bootstrap it has a
// width also where all trials agree. For trials that give shares themselves, not only 0 and 1, it
// is too wide rather than too narrow. Requires n > 0 and 0 <= share <= 1.
std::pair<double, double> wilson_ci95(double share, std::size_t n);

}  // namespace ra::stats
