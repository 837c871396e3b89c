// SPDX-License-Identifier: Apache-2.0
// Two levels of cells over the keys: keys that the queries can hardly tell apart share a cell, and
// near cells share a top cell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/build_clock.h"
#include "lib/index/key_store.h"

namespace ra::index {

struct CellOptions {
  std::size_t cells = 1, tops = 1;
  std::size_t segment = 8192;  // keys clustered by themselves, in the order given: a segment can be
                               // clustered as soon as it is there
  int iterations = 6;
  std::uint64_t seed = 1;
};

// One level: its means over raw keys, and how far a cell spreads.
struct CellLevel {
  Matrix<bf16> means;         // [count, dim]; rounded, since they only rank
  std::vector<float> spread;  // [count] rms distance of a cell's keys to their mean, in x, over the
                              // rms distance of the top means to the mean of all
  std::vector<std::uint32_t>
      begin;  // [count + 1] first member: a cell of the level below, or a row
  std::size_t count() const { return means.rows(); }
};

struct Cells {
  std::vector<std::uint32_t> order;  // [n] key of each row: top by top, cell by cell
  CellLevel top, cell;               // members of `cell` are rows of `order`
  std::size_t bytes() const;
};

// keys [n, dim] and the same keys in the metric they are clustered in, x [n, any]. A cell larger
// than four times the mean is cut into equal parts.
Cells build_cells(MatView<const float> keys, MatView<const float> x, const CellOptions& o,
                  BuildClock& clock, std::int64_t& distances);

}  // namespace ra::index
