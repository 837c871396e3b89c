// SPDX-License-Identifier: Apache-2.0
// Exact nearest neighbours by matrix products: candidates for the links of a graph.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/row_search.h"

namespace ra::index {

// For each row of x [n, dim] the min(m, rows of among) rows of `among` [any, dim] nearest to it
// (L2), nearest first, ties to the smaller row. m > 0. A row that is in both is found too.
// Distances are computed in bf16 at levels avx512 and amx, or by `search` if there is one. The same
// for any number of threads. Costs x.rows * among.rows inner products, added to `distances`.
LinkLists nearest_rows(MatView<const float> x, MatView<const float> among, std::size_t m,
                       BuildClock& clock, std::int64_t& distances, RowSearch* search = nullptr);

}  // namespace ra::index
