// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/mahalanobis.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::stats {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::size_t kBlock = 1024;  // rows widened to f64 at a time
constexpr std::size_t kChunks = 16;   // partial sums; fixed, so the result does not see the threads

Eigen::Index idx(std::size_t i) { return static_cast<Eigen::Index>(i); }

// Rows [first, first + count) of x as f64, less `mean` if it is set.
RowMatrix widened(MatView<const float> x, std::size_t first, std::size_t count,
                  const double* mean) {
  RowMatrix out(idx(count), idx(x.cols));
  for (std::size_t i = 0; i < count; ++i) {
    const float* row = x.row(first + i);
    for (std::size_t j = 0; j < x.cols; ++j)
      out(idx(i), idx(j)) = static_cast<double>(row[j]) - (mean != nullptr ? mean[j] : 0);
  }
  return out;
}

// Calls body(chunk, first, count) for blocks of rows; chunks run in parallel, blocks in order.
template <class Body>
void for_blocks(std::size_t n, std::size_t chunks, const Body& body) {
  parallel_for(chunks, [&](std::size_t c, int) {
    const std::size_t begin = n * c / chunks, end = n * (c + 1) / chunks;
    for (std::size_t i = begin; i < end; i += kBlock) body(c, i, std::min(kBlock, end - i));
  });
}

}  // namespace

Moments moments(MatView<const float> keys) {
  const std::size_t n = keys.rows, d = keys.cols;
  RA_CHECK(n >= 2 && d >= 1);
  const std::size_t chunks = std::min(kChunks, (n + kBlock - 1) / kBlock);
  Moments m{.n = n, .d = d, .mean = {}, .covariance = {}};

  std::vector<Eigen::VectorXd> sums(chunks, Eigen::VectorXd::Zero(idx(d)));
  for_blocks(n, chunks, [&](std::size_t c, std::size_t first, std::size_t count) {
    sums[c] += widened(keys, first, count, nullptr).colwise().sum().transpose();
  });
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(idx(d));
  for (const auto& s : sums) mean += s;
  mean /= static_cast<double>(n);
  m.mean.assign(mean.data(), mean.data() + d);

  // The second pass over centred rows avoids the cancellation of E[xx^T] - mu mu^T.
  std::vector<RowMatrix> parts(chunks, RowMatrix::Zero(idx(d), idx(d)));
  for_blocks(n, chunks, [&](std::size_t c, std::size_t first, std::size_t count) {
    const RowMatrix x = widened(keys, first, count, m.mean.data());
    parts[c].noalias() += x.transpose() * x;
  });
  RowMatrix covariance = RowMatrix::Zero(idx(d), idx(d));
  for (const auto& p : parts) covariance += p;
  covariance /= static_cast<double>(n - 1);
  m.covariance.assign(covariance.data(), covariance.data() + d * d);
  return m;
}

KeyDistribution::KeyDistribution(MatView<const float> keys, double ridge) : ridge_(ridge) {
  RA_CHECK(ridge >= 0 && ridge <= 1);
  const auto refuse = [&](const std::string& why, const std::string& hint) {
    fail_bad_data(
        {.what = "bad covariance", .file = "", .where = "keys", .why = why, .hint = hint});
  };
  if (keys.rows < 2)
    refuse(fmt::format("{} keys, at least 2 are needed", keys.rows), "widen the key range");
  moments_ = moments(keys);
  const std::size_t d = moments_.d;
  RowMatrix s = Eigen::Map<const RowMatrix>(moments_.covariance.data(), idx(d), idx(d));
  if (!s.allFinite()) refuse("the keys hold NaN or infinity", "the dump is damaged or overflowed");
  const double spread = s.trace() / static_cast<double>(d);
  s *= 1 - ridge;
  s.diagonal().array() += ridge * spread;

  const Eigen::SelfAdjointEigenSolver<RowMatrix> eigen(s, Eigen::EigenvaluesOnly);
  const double largest = eigen.eigenvalues().maxCoeff(), smallest = eigen.eigenvalues().minCoeff();
  // The bound numpy.linalg.matrix_rank uses.
  const double floor = largest * static_cast<double>(d) * std::numeric_limits<double>::epsilon();
  const Eigen::LLT<RowMatrix> llt(s);
  if (!(smallest > floor) || llt.info() != Eigen::Success) {
    const auto rank = (eigen.eigenvalues().array() > floor).count();
    refuse(fmt::format("{} keys of {} dimensions have a covariance of rank {}", keys.rows, d, rank),
           "use more keys, or shrink it, for example --ridge 0.01");
  }
  condition_ = largest / smallest;
  const RowMatrix lower = llt.matrixL();
  factor_.assign(lower.data(), lower.data() + d * d);
}

std::vector<double> KeyDistribution::squared(MatView<const float> x) const {
  RA_CHECK(x.cols == moments_.d);
  std::vector<double> out(x.rows);
  const Eigen::Map<const RowMatrix> lower(factor_.data(), idx(d()), idx(d()));
  const std::size_t blocks = (x.rows + kBlock - 1) / kBlock;
  parallel_for(blocks, [&](std::size_t b, int) {
    const std::size_t first = b * kBlock, count = std::min(kBlock, x.rows - first);
    Eigen::MatrixXd y = widened(x, first, count, moments_.mean.data()).transpose();
    lower.triangularView<Eigen::Lower>().solveInPlace(y);
    Eigen::Map<Eigen::VectorXd>(out.data() + first, idx(count)) = y.colwise().squaredNorm();
  });
  return out;
}

}  // namespace ra::stats
