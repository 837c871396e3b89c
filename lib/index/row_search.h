// SPDX-License-Identifier: Apache-2.0
// Where the exact searches of a build run if not on the CPU's threads: best keys of many queries,
// links to nearest keys, nearest centres. All three are the best of each row of a matrix product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"

namespace ra::index {

class RowSearch {
 public:
  static constexpr std::size_t kMost = 2048;

  virtual ~RowSearch() = default;
  // Whether there is one, and for so many rows a query.
  static bool takes(const RowSearch* search, std::size_t m) {
    return search != nullptr && m <= kMost;
  }

  // Of each query [n, dim] the min(m, rows) rows [any, dim] with the largest query . row +
  // bias[row] (`bias` may be null), best first, ties to the smaller row: ids and scores
  // [n, min(m, rows)]. 0 < m <= kMost. Products are f32 with sums in any order: rows may differ
  // from those found on the CPU where scores differ by rounding alone. Several threads may call it
  // at once.
  virtual void best_rows(MatView<const float> queries, MatView<const float> rows, const float* bias,
                         std::size_t m, std::uint32_t* ids, float* scores) = 0;
};

}  // namespace ra::index
