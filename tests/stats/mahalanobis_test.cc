// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/mahalanobis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"

namespace ra::stats {
namespace {

MatView<const float> view(const std::vector<float>& x, std::size_t cols) {
  return {x.data(), x.size() / cols, cols};
}

Matrix<float> gaussian(std::size_t n, std::size_t d, std::uint64_t seed, float offset = 0) {
  Matrix<float> x(n, d);
  Rng rng(seed);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j)  // component j has standard deviation j + 1
      x.row(i)[j] = offset + static_cast<float>(rng.normal()) * static_cast<float>(j + 1);
  return x;
}

const std::vector<float> kKeys{-3.05f, -1.08f, -0.07f, 2.03f,  1.03f,  0.03f,  -1.52f,
                               -1.53f, 0.22f,  2.93f,  1.51f,  -0.37f, -0.22f, 1.4f,
                               0.06f,  -4.13f, 1.08f,  -0.35f, -2.1f,  0.23f,  -0.21f,
                               0.75f,  0.53f,  -0.18f, 0.83f,  2.47f,  -0.49f};
const std::vector<float> kPoints{0, 0, 0, 1, -2, 0.5f, 10, 3, -1};

TEST(Mahalanobis, AgreesWithNumpy) {
  // e = x - mean; einsum(e, inv(cov(K.T)), e), and the ratio of the extreme eigenvalues.
  const KeyDistribution plain(view(kKeys, 3), 0);
  const auto d2 = plain.squared(view(kPoints, 3));
  EXPECT_NEAR(d2[0], 0.59482666, 1e-8);
  EXPECT_NEAR(d2[1], 9.7791431, 1e-7);
  EXPECT_NEAR(d2[2], 45.37206281, 1e-7);
  EXPECT_NEAR(plain.condition_number(), 246.95763129378545, 1e-6);
}

TEST(Mahalanobis, RidgeShrinksTowardsTheScaledIdentity) {
  const KeyDistribution shrunk(view(kKeys, 3), 0.1);
  const auto d2 = shrunk.squared(view(kPoints, 3));
  EXPECT_NEAR(d2[0], 0.48810217, 1e-8);
  EXPECT_NEAR(d2[1], 7.53771439, 1e-7);
  EXPECT_NEAR(d2[2], 23.1833075, 1e-7);
  EXPECT_NEAR(shrunk.condition_number(), 21.729644208387036, 1e-7);
  EXPECT_NEAR(KeyDistribution(view(kKeys, 3), 1).condition_number(), 1, 1e-12);
}

TEST(Mahalanobis, KeysThemselvesAverageTheDimension) {
  // sum over the fitted rows of D^2 = (n - 1) d exactly, whatever their distribution.
  const Matrix<float> keys = gaussian(3001, 12, 1, 40);
  const auto d2 = KeyDistribution(keys.view(), 0).squared(keys.view());
  EXPECT_NEAR(std::accumulate(d2.begin(), d2.end(), 0.0), 3000.0 * 12, 1e-4);
}

TEST(Mahalanobis, ALargeMeanDoesNotCancel) {
  const Matrix<float> near = gaussian(2000, 4, 9, 0), far = gaussian(2000, 4, 9, 4096);
  const Moments a = moments(near.view()), b = moments(far.view());
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(b.covariance[i * 5] / a.covariance[i * 5], 1, 1e-3) << i;
}

TEST(Mahalanobis, DoesNotDependOnThreads) {
  const Matrix<float> keys = gaussian(20000, 8, 2);
  set_threads(1);
  const Moments one = moments(keys.view());
  set_threads(4);
  const Moments four = moments(keys.view());
  set_threads(0);
  EXPECT_EQ(one.mean, four.mean);
  EXPECT_EQ(one.covariance, four.covariance);
}

TEST(Mahalanobis, RefusesARankDeficientCovarianceUnlessShrunk) {
  const Matrix<float> few = gaussian(8, 12, 4);
  try {
    KeyDistribution(few.view(), 0);
    FAIL() << "8 keys of 12 dimensions have no inverse covariance";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
    EXPECT_NE(std::string(e.what()).find("rank 7"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("--ridge"), std::string::npos) << e.what();
  }
  EXPECT_GT(KeyDistribution(few.view(), 0.01).condition_number(), 1);

  Matrix<float> constant = gaussian(100, 5, 4);
  for (std::size_t i = 0; i < 100; ++i) constant.row(i)[2] = 0.1f;
  EXPECT_THROW(KeyDistribution(constant.view(), 0), Error);
}

TEST(Mahalanobis, RefusesNanInfinityAndTooFewKeys) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Matrix<float> keys = gaussian(50, 3, 6);
    keys.row(17)[1] = bad;
    EXPECT_THROW(KeyDistribution(keys.view(), 0), Error);
  }
  EXPECT_THROW(KeyDistribution(gaussian(1, 3, 6).view(), 0), Error);
}

}  // namespace
}  // namespace ra::stats
