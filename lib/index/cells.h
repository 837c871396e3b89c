// SPDX-License-Identifier: Apache-2.0
// Two levels of cells over some keys: keys that the queries can hardly tell apart share a cell, and
// near cells share a top cell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/build_clock.h"
#include "lib/index/row_search.h"

namespace ra::index {

struct CellOptions {
  std::size_t cells = 1, tops = 1;
  int iterations = 6;
  std::uint64_t seed = 1, stream = 0;  // of k-means
  RowSearch* search = nullptr;         // of k-means
};

// One level of the two.
struct CellLevel {
  std::vector<std::uint32_t>
      begin;                  // [count + 1] first member: a cell of the level below, or a row
  std::vector<float> spread;  // [count] rms distance of a cell's keys to their mean, in x, over the
                              // rms distance of the top means to the mean of all
  std::size_t count() const { return spread.size(); }
  std::uint32_t size(std::size_t i) const { return begin[i + 1] - begin[i]; }
  std::size_t bytes() const { return (begin.size() + spread.size()) * sizeof(float); }
};

struct Cells {
  // [n] key of each row: top by top, cell by cell. Near tops, near cells of a top and near rows of
  // two cells that meet lie near each other.
  std::vector<std::uint32_t> order;
  CellLevel top, cell;  // members of `cell` are rows of `order`
};

// Keys in the metric they are clustered in, x [n, any], n > 0. A cell larger than four times the
// mean is cut into equal parts.
Cells build_cells(MatView<const float> x, const CellOptions& o, BuildClock& clock,
                  std::int64_t& distances);

// The most cells that build_cells makes where it is asked for so many.
std::size_t most_cells(std::size_t asked);

// Mean of the keys of each cell, [count, dim]; `begin` in rows of `order`.
Matrix<float> cell_means(MatView<const float> keys, std::span<const std::uint32_t> order,
                         std::span<const std::uint32_t> begin);

}  // namespace ra::index
