// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // threads belong to lib/core/parallel.h
#include "lib/index/query_metric.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/index/key_store.h"

namespace ra::index {
namespace {

using RowsF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowsMap = Eigen::Map<const RowsF, 0, Eigen::OuterStride<>>;

RowsMap map_rows(MatView<const float> m) {
  return {m.data, static_cast<Eigen::Index>(m.rows), static_cast<Eigen::Index>(m.cols),
          Eigen::OuterStride<>(static_cast<Eigen::Index>(m.stride))};
}

constexpr Eigen::Index kRows = 1024;  // rows per step: bounds the f64 and centred copies

// Mean of q q^T over rows.
Eigen::MatrixXd second_moment(MatView<const float> m) {
  const RowsMap rows = map_rows(m);
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(rows.cols(), rows.cols());
  for (Eigen::Index i = 0; i < rows.rows(); i += kRows) {
    const Eigen::MatrixXd block =
        rows.middleRows(i, std::min(kRows, rows.rows() - i)).cast<double>();
    sum.noalias() += block.transpose() * block;
  }
  return sum / static_cast<double>(rows.rows());
}

// Of the last part `recent` of the rows; given or counted.
Eigen::MatrixXd moment_of(const QuerySet& set, double recent) {
  if (set.moment.rows > 0) return map_rows(set.moment).cast<double>();
  const auto count =
      static_cast<std::size_t>(std::ceil(recent * static_cast<double>(set.rows.rows)));
  return second_moment(set.rows.row_range(set.rows.rows - count, count));
}

// Mean second moment of the sets, each scaled to the same mean squared score (that of all of them):
// a head with long queries must not decide for the others.
Eigen::MatrixXd pooled_moment(std::span<const QuerySet> train, const Eigen::MatrixXd& keys,
                              double recent) {
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(keys.rows(), keys.cols());
  double sets = 0, squares = 0;
  for (const QuerySet& set : train) {
    if (set.rows.rows == 0 && set.moment.rows == 0) continue;
    const Eigen::MatrixXd moment = moment_of(set, recent);
    RA_CHECK(moment.cols() == keys.cols());
    const double square = moment.cwiseProduct(keys).sum();  // E[(q.(k - mean))^2]
    if (square > 0) {
      sum += moment / square;
      squares += square;
      ++sets;
    }
  }
  return sets > 0 ? Eigen::MatrixXd(sum * (squares / sets / sets)) : sum;
}

Matrix<float> to_matrix(const Eigen::MatrixXd& m) {
  Matrix<float> out(static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols()));
  Eigen::Map<RowsF>(out.data(), m.rows(), m.cols()) = m.cast<float>();
  return out;
}

}  // namespace

bool has_queries(std::span<const QuerySet> train) {
  return std::ranges::any_of(
      train, [](const QuerySet& set) { return set.rows.rows > 0 || set.moment.rows > 0; });
}

QueryMetric fit_query_metric(MatView<const float> keys, std::span<const QuerySet> train,
                             double floor, double recent) {
  RA_CHECK(keys.rows > 0 && floor > 0 && recent > 0 && recent <= 1);
  const auto dim = static_cast<Eigen::Index>(keys.cols);
  QueryMetric metric;
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(dim);
  for (std::size_t i = 0; i < keys.rows; ++i)
    mean += Eigen::Map<const Eigen::VectorXf>(keys.row(i), dim).cast<double>();
  mean /= static_cast<double>(keys.rows);
  metric.mean.resize(keys.cols);
  Eigen::Map<Eigen::VectorXf>(metric.mean.data(), dim) = mean.cast<float>();

  const Eigen::MatrixXd spread = second_moment(keys) - mean * mean.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(pooled_moment(train, spread, recent));
  RA_CHECK(solver.info() == Eigen::Success);
  Eigen::VectorXd lambda = solver.eigenvalues();
  metric.eigenvalues.assign(lambda.data(), lambda.data() + dim);
  const double largest = dim > 0 ? lambda(dim - 1) : 0;
  if (largest <= 0) {
    lambda.setOnes();
  } else {
    lambda = lambda.cwiseMax(floor * largest);
  }
  const Eigen::MatrixXd& v = solver.eigenvectors();
  metric.a = to_matrix(v * lambda.cwiseSqrt().asDiagonal() * v.transpose());
  metric.a_inverse = to_matrix(v * lambda.cwiseSqrt().cwiseInverse().asDiagonal() * v.transpose());
  return metric;
}

Matrix<float> principal_axes(MatView<const float> x, std::size_t count) {
  RA_CHECK(count <= x.cols);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(second_moment(x));
  RA_CHECK(solver.info() == Eigen::Success);
  return to_matrix(solver.eigenvectors()
                       .rowwise()
                       .reverse()
                       .leftCols(static_cast<Eigen::Index>(count))
                       .transpose());
}

void reduce_rank(QueryMetric& metric, MatView<const float> keys, std::size_t rank) {
  constexpr std::size_t kEvery = 8;  // keys enough to tell the axes
  const MatView<const float> some{keys.data, (keys.rows + kEvery - 1) / kEvery, keys.cols,
                                  keys.stride * kEvery};
  const Matrix<float> axes = principal_axes(transform_keys(metric, some).view(), rank);
  Matrix<float> across(axes.cols(), axes.rows());
  for (std::size_t i = 0; i < axes.rows(); ++i)
    for (std::size_t j = 0; j < axes.cols(); ++j) across.row(j)[i] = axes.row(i)[j];
  metric.a = product(metric.a.view(), across.view());
  metric.a_inverse = {};
}

Matrix<float> product(MatView<const float> a, MatView<const float> b) {
  RA_CHECK(a.cols == b.rows);
  Matrix<float> out(a.rows, b.cols);
  Eigen::Map<RowsF>(out.data(), static_cast<Eigen::Index>(a.rows),
                    static_cast<Eigen::Index>(b.cols))
      .noalias() = map_rows(a) * map_rows(b);
  return out;
}

Matrix<float> transform_keys(const QueryMetric& metric, MatView<const float> keys) {
  Matrix<float> out(keys.rows, metric.a.cols());
  const RowsMap rows = map_rows(keys), a = map_rows(metric.a.view());
  const Eigen::Map<const Eigen::RowVectorXf> mean(metric.mean.data(), rows.cols());
  Eigen::Map<RowsF> x(out.data(), rows.rows(), a.cols());
  for (Eigen::Index i = 0; i < rows.rows(); i += kRows) {
    const Eigen::Index count = std::min(kRows, rows.rows() - i);
    x.middleRows(i, count).noalias() = (rows.middleRows(i, count).rowwise() - mean) * a;
  }
  return out;
}

std::vector<float> transform_query(const QueryMetric& metric, const float* query) {
  const auto dim = static_cast<Eigen::Index>(metric.mean.size());
  std::vector<float> y(metric.mean.size());
  Eigen::Map<Eigen::VectorXf>(y.data(), dim).noalias() =
      map_rows(metric.a_inverse.view()) * Eigen::Map<const Eigen::VectorXf>(query, dim);
  return y;
}

Matrix<float> lift_to_sphere(MatView<const float> rows) {
  Matrix<float> out(rows.rows, rows.cols + 1);
  std::vector<double> norm2(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i)
    for (std::size_t j = 0; j < rows.cols; ++j)
      norm2[i] += static_cast<double>(rows.row(i)[j]) * rows.row(i)[j];
  const double r2 = rows.rows > 0 ? *std::max_element(norm2.begin(), norm2.end()) : 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    std::copy_n(rows.row(i), rows.cols, out.row(i));
    out.row(i)[rows.cols] = static_cast<float>(std::sqrt(r2 - norm2[i]));
  }
  return out;
}

Metric parse_metric(const std::string& name) {
  if (name == "raw") return Metric::kRaw;
  if (name == "lift") return Metric::kLift;
  if (name == "centred") return Metric::kCentred;
  RA_CHECK(name == "query");
  return Metric::kQuery;
}

std::string eigen_version() {
  return fmt::format("{}.{}.{}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION);
}

Matrix<float> graph_vectors(Metric metric, const BuildInput& in) {
  switch (metric) {
    case Metric::kRaw:
      return copy_rows(in.keys);
    case Metric::kLift:
      return lift_to_sphere(in.keys);
    case Metric::kCentred:
    case Metric::kQuery:
      break;
  }
  const QueryMetric query = fit_query_metric(
      in.keys, metric == Metric::kQuery ? std::span(in.train) : std::span<const QuerySet>());
  return lift_to_sphere(transform_keys(query, in.keys).view());
}

}  // namespace ra::index
