// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_shape.h"

#include <cmath>
#include <vector>

#include "lib/core/error.h"
#include "lib/index/query_metric.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

constexpr std::size_t kSample = 2048;

// Every so many-th key less the mean of its cell.
Matrix<float> from_means(MatView<const float> keys, const Cells& cells) {
  const std::size_t step = (keys.rows + kSample - 1) / kSample;
  const Matrix<float> means = cell_means(keys, cells.order, cells.cell.begin);
  Matrix<float> out((keys.rows + step - 1) / step, keys.cols);
  for (std::size_t i = 0, c = 0; i < out.rows(); ++i) {
    while (i * step >= cells.cell.begin[c + 1]) ++c;
    const float *key = keys.row(cells.order[i * step]), *mean = means.row(c);
    for (std::size_t j = 0; j < keys.cols; ++j) out.row(i)[j] = key[j] - mean[j];
  }
  return out;
}

double sum_of_squares(const Matrix<float>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows(); ++i)
    sum += static_cast<double>(dot(x.row(i), x.row(i), x.cols()));
  return sum;
}

}  // namespace

// With D the differences, W = D^T D / |D|^2, and for queries with second moment A^2 the mean of
// q^T W q is |D A|^2 / |D|^2. Of D A the strongest right singular vectors v are kept:
// v^T (D A)^T D / |D A v| are the axes. What the others would add is spread over them.
CellShape::CellShape(MatView<const float> keys, const Cells& cells, MatView<const float> metric) {
  RA_CHECK(metric.rows == keys.cols && metric.cols == keys.cols);
  const Matrix<float> differences = from_means(keys, cells);
  const double distance = sum_of_squares(differences);
  const Matrix<float> seen = product(differences.view(), metric);
  const double all = sum_of_squares(seen);
  if (!(distance > 0) || !(all > 0)) return;
  const Matrix<float> directions = principal_axes(seen.view(), std::min(kAxes, keys.cols));
  axes_ = Matrix<float>(directions.rows(), keys.cols);
  double kept = 0;
  std::vector<double> axis(keys.cols);
  for (std::size_t a = 0; a < axes_.rows(); ++a) {
    std::fill(axis.begin(), axis.end(), 0.0);
    double square = 0;
    for (std::size_t i = 0; i < seen.rows(); ++i) {
      const auto along = static_cast<double>(dot(directions.row(a), seen.row(i), keys.cols));
      square += along * along;
      for (std::size_t j = 0; j < keys.cols; ++j)
        axis[j] += along * static_cast<double>(differences.row(i)[j]);
    }
    kept += square;
    for (std::size_t j = 0; square > 0 && j < keys.cols; ++j)
      axes_.row(a)[j] = static_cast<float>(axis[j] / std::sqrt(square));
  }
  const auto by = static_cast<float>(std::sqrt(all / kept / distance));
  for (std::size_t i = 0; i < axes_.rows() * keys.cols; ++i) axes_.data()[i] *= by;
}

float CellShape::deviation(const float* query) const {
  float variance = 0;
  for (std::size_t a = 0; a < axes_.rows(); ++a) {
    const float along = dot(axes_.row(a), query, axes_.cols());
    variance += along * along;
  }
  return std::sqrt(variance);
}

}  // namespace ra::index
