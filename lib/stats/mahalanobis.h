// SPDX-License-Identifier: Apache-2.0
// How far vectors lie from the distribution of the keys: D^2(x) = (x - mu)^T S^-1 (x - mu), with
// mean mu and covariance S of the keys alone (arXiv 2409.10516, figure 3b). All arithmetic is f64,
// S^-1 through a Cholesky factor.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/types.h"

namespace ra::stats {

// Mean [d] and covariance [d, d], row-major, with n - 1. `keys` are the rows of [n, d].
struct Moments {
  std::size_t n = 0, d = 0;
  std::vector<double> mean, covariance;
};
Moments moments(MatView<const float> keys);

// The distribution the distances refer to. `ridge` in [0, 1] shrinks the covariance towards a
// multiple of the identity that keeps its trace: S' = (1 - ridge) S + ridge tr(S) / d I.
class KeyDistribution {
 public:
  // Throws Error{kBadData} for fewer than two keys, keys that are not finite, and a covariance that
  // is numerically rank-deficient (fewer keys than dimensions, a constant component) after
  // shrinkage.
  KeyDistribution(MatView<const float> keys, double ridge);

  // Squared distance of each row of x [m, d]; the root is the plain distance.
  std::vector<double> squared(MatView<const float> x) const;

  double condition_number() const { return condition_; }  // largest / smallest eigenvalue of S'
  double ridge() const { return ridge_; }
  std::size_t n() const { return moments_.n; }
  std::size_t d() const { return moments_.d; }

 private:
  Moments moments_;
  std::vector<double> factor_;  // lower Cholesky factor of S', row-major [d, d]
  double ridge_ = 0, condition_ = 0;
};

}  // namespace ra::stats
