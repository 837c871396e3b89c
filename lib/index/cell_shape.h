// SPDX-License-Identifier: Apache-2.0
// How far a query sees the keys of a cell lie from their mean.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/cells.h"

namespace ra::index {

// Cells differ in how far their keys lie from the mean, hardly in which directions: one covariance
// W of unit trace serves all, and sqrt(q^T W q) times the rms distance of a cell is the deviation
// of its scores. Of W the axes are kept that matter to the queries the metric was learnt from.
class CellShape {
 public:
  CellShape() = default;  // points
  // From about 2,048 of the keys [n, dim]. metric: A [dim, dim] of QueryMetric.
  CellShape(MatView<const float> keys, const Cells& cells, MatView<const float> metric);

  // sqrt(q^T W q) of a query [dim], nearly.
  float deviation(const float* query) const;
  bool points() const { return axes_.rows() == 0; }
  std::size_t bytes() const { return axes_.bytes(); }
  static std::size_t bytes_of(std::size_t dim) {
    return std::min(kAxes, dim) * dim * sizeof(float);
  }

 private:
  static constexpr std::size_t kAxes = 16;
  Matrix<float> axes_;  // [at most kAxes, dim]: |axes q|^2 = q^T W q
};

}  // namespace ra::index
