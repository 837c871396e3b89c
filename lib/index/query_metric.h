// SPDX-License-Identifier: Apache-2.0
// The metric in which the Euclidean distance of two keys is the root-mean-square difference of
// their scores over the queries, and the lift that makes L2 order equal to inner-product order.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

// With C = E[q q^T] (uncentred, over the training queries) and A = C^(1/2), keys move to
// x = A (k - mean) and queries to y = A^-1 q, so that y.x = q.(k - mean): for a given query the
// order of the keys is unchanged, and |x1 - x2|^2 = E[(q.(k1 - k2))^2]. Eigenvalues of C below
// `floor` times the largest are raised to it: keys must stay apart in directions the sample never
// looked at, and A must be invertible (condition <= 1/sqrt(floor)). Queries of several heads are
// pooled with each head scaled to the same mean squared score.
struct QueryMetric {
  std::vector<float> mean;          // [dim] of the keys
  Matrix<float> a, a_inverse;       // [dim, dim], symmetric
  std::vector<double> eigenvalues;  // of C as measured, ascending
};

inline constexpr double kEigenvalueFloor = 1e-3;

// Whether any set holds rows or a moment.
bool has_queries(std::span<const QuerySet> train);

// keys [n, dim], n > 0. Of the rows of each set the last part `recent` is used, in (0, 1]: where
// they are in order of position, those most like the queries to come; a moment is taken as it is.
// All-zero or no queries give the identity.
QueryMetric fit_query_metric(MatView<const float> keys, std::span<const QuerySet> train,
                             double floor = kEigenvalueFloor, double recent = 1);

// The unit directions [count, dim] in which the centred rows x vary most, strongest first.
Matrix<float> principal_axes(MatView<const float> x, std::size_t count);
Matrix<float> product(MatView<const float> a, MatView<const float> b);  // a b

// Leaves of the metric, for keys alone, the `rank` directions in which the keys vary most:
// transform_keys then gives [n, rank].
void reduce_rank(QueryMetric& metric, MatView<const float> keys, std::size_t rank);

Matrix<float> transform_keys(const QueryMetric& metric, MatView<const float> keys);
std::vector<float> transform_query(const QueryMetric& metric, const float* query);

// [n, dim + 1]: appends sqrt(R^2 - |x|^2), R = max |x|. All rows get the norm R; with a 0 appended
// to the query, |x' - y'|^2 = R^2 + |y|^2 - 2 y.x falls as y.x grows.
Matrix<float> lift_to_sphere(MatView<const float> rows);

enum class Metric { kRaw, kLift, kCentred, kQuery };
Metric parse_metric(const std::string& name);

std::string eigen_version();

// The vectors in which a graph is built: the keys themselves, lifted, less their mean and lifted,
// or transformed and lifted. The third is the last without queries.
Matrix<float> graph_vectors(Metric metric, const BuildInput& in);

}  // namespace ra::index
