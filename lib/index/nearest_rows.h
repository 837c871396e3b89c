// SPDX-License-Identifier: Apache-2.0
// The exact nearest neighbours of every row among the others: the links of a neighbour graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"

namespace ra::index {

// For each row of x [n, dim] the min(m, n - 1) rows nearest to it (L2), nearest first, ties to the
// smaller row. Distances are computed in bf16 at level amx. The same for any number of threads.
// Costs n * n inner products, added to `distances`.
LinkLists nearest_rows(MatView<const float> x, std::size_t m, BuildClock& clock,
                       std::int64_t& distances);

}  // namespace ra::index
