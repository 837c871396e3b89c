// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/tail_cells.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/random.h"

namespace ra::attention {
namespace {

using testing::random_matrix;

constexpr std::size_t kDim = 16, kValueDim = 8;
constexpr float kScale = 0.25f;

float score(const Matrix<float>& q, std::size_t row, const Matrix<float>& keys, std::size_t i) {
  return std::inner_product(q.row(row), q.row(row) + kDim, keys.row(i), 0.0f);
}

struct Estimate {
  Matrix<float> acc;
  std::vector<kernels::Partial> parts;
  double sum(std::size_t r) const {
    return static_cast<double>(parts[r].sum) * std::exp(static_cast<double>(parts[r].max));
  }
};
Estimate estimate(const TailCells& cells, const Matrix<float>& q,
                  const std::vector<std::vector<index::Hit>>& hits) {
  Estimate out{Matrix<float>(q.rows(), kValueDim), std::vector<kernels::Partial>(q.rows())};
  std::vector<std::span<const index::Hit>> spans(hits.begin(), hits.end());
  for (std::size_t r = 0; r < q.rows(); ++r) out.parts[r].acc = out.acc.row(r);
  TailCells::Scratch scratch;
  cells.estimate(q.view(), kScale, spans, scratch, out.parts);
  return out;
}

std::vector<index::Hit> best(const Matrix<float>& q, std::size_t row, const Matrix<float>& keys,
                             std::size_t k) {
  std::vector<index::Hit> all;
  for (std::size_t i = 0; i < keys.rows(); ++i)
    all.push_back({static_cast<std::uint32_t>(i), score(q, row, keys, i)});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  all.resize(k);
  return all;
}

// One cell: by plain arithmetic over the keys that are left.
TEST(TailCells, OneCellIsTheMeanAndVarianceOfTheKeysLeft) {
  const Matrix<float> keys = random_matrix(200, kDim, 1), values = random_matrix(200, kValueDim, 2),
                      q = random_matrix(3, kDim, 3);
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  ASSERT_EQ(cells.cells(), 1u);
  std::vector<std::vector<index::Hit>> hits;
  for (std::size_t r = 0; r < 3; ++r) hits.push_back(best(q, r, keys, 10 * r));
  const Estimate got = estimate(cells, q, hits);
  for (std::size_t r = 0; r < 3; ++r) {
    double mean = 0, spread = 0;
    std::vector<double> centre(kDim), value(kValueDim);
    for (std::size_t i = 0; i < 200; ++i) {
      for (std::size_t j = 0; j < kDim; ++j) centre[j] += static_cast<double>(keys.row(i)[j]) / 200;
      for (std::size_t j = 0; j < kValueDim; ++j)
        value[j] += static_cast<double>(values.row(i)[j]) / 200;
    }
    for (std::size_t j = 0; j < kDim; ++j) {
      const double qj = static_cast<double>(q.row(r)[j]);
      mean += qj * centre[j];
      for (std::size_t i = 0; i < 200; ++i)
        spread += qj * qj * std::pow(static_cast<double>(keys.row(i)[j]) - centre[j], 2) / 200;
    }
    const double n = 200 - static_cast<double>(hits[r].size());
    double sum = 200 * mean, square = 200 * (spread + mean * mean);
    for (const index::Hit& hit : hits[r]) {
      sum -= static_cast<double>(hit.score);
      square -= std::pow(static_cast<double>(hit.score), 2);
    }
    const double variance = std::max(0.0, square / n - std::pow(sum / n, 2));
    double logit =
        static_cast<double>(kScale) * sum / n + static_cast<double>(kScale * kScale) * variance / 4;
    if (!hits[r].empty())
      logit = std::min(logit, static_cast<double>(kScale * hits[r].back().score));
    EXPECT_NEAR(got.sum(r) / (n * std::exp(logit)), 1, 1e-4) << r;
    for (std::size_t j = 0; j < kValueDim; ++j)
      EXPECT_NEAR(got.acc.row(r)[j] / got.parts[r].sum, value[j], 1e-5);
  }
}

// Keys of which nothing is estimated: a cell of equal keys is exact.
TEST(TailCells, EqualKeysAreExact) {
  Matrix<float> keys(256, kDim), values(256, kValueDim);
  const Matrix<float> key = random_matrix(1, kDim, 4), value = random_matrix(1, kValueDim, 5);
  for (std::size_t i = 0; i < 256; ++i) {
    std::copy_n(key.row(0), kDim, keys.row(i));
    std::copy_n(value.row(0), kValueDim, values.row(i));
  }
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  const Matrix<float> q = random_matrix(1, kDim, 6);
  const Estimate got = estimate(cells, q, {best(q, 0, keys, 6)});
  const double want = 250 * std::exp(static_cast<double>(kScale * score(q, 0, keys, 0)));
  EXPECT_NEAR(got.sum(0) / want, 1, 1e-4);
}

TEST(TailCells, NothingIsLeftWhenAllKeysAreHits) {
  const Matrix<float> keys = random_matrix(600, kDim, 7), values = random_matrix(600, kValueDim, 8),
                      q = random_matrix(2, kDim, 9);
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  EXPECT_EQ(cells.cells(), 2u);
  const Estimate got = estimate(cells, q, {best(q, 0, keys, 600), best(q, 1, keys, 600)});
  for (const kernels::Partial& part : got.parts) EXPECT_EQ(part.sum, 0);
}

// Joined to a part that is there, as kernels::merge would.
TEST(TailCells, IsMergedIntoWhatIsThere) {
  const Matrix<float> keys = random_matrix(600, kDim, 7), values = random_matrix(600, kValueDim, 8),
                      q = random_matrix(1, kDim, 9);
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  const auto hits = best(q, 0, keys, 20);
  const Estimate alone = estimate(cells, q, {hits});
  for (const float max : {-5.0f, 30.0f}) {
    std::vector<float> acc(kValueDim, 2.0f), merged(kValueDim, 2.0f);
    kernels::Partial want{max, 3, acc.data()}, got{max, 3, merged.data()};
    kernels::merge(want, alone.parts[0], kValueDim);
    TailCells::Scratch scratch;
    const std::span<const index::Hit> kept(hits);
    cells.estimate(q.view(), kScale, {&kept, 1}, scratch, {&got, 1});
    EXPECT_FLOAT_EQ(got.max, want.max);
    EXPECT_NEAR(got.sum, want.sum, 1e-5 * want.sum);
    for (std::size_t j = 0; j < kValueDim; ++j) EXPECT_NEAR(merged[j], acc[j], 1e-4);
  }
}

// What it is for: attention is nearer to the truth with the estimate than without.
TEST(TailCells, BringsAttentionNearerToTheTruth) {
  const Matrix<float> keys = random_matrix(4000, kDim, 11),
                      values = random_matrix(4000, kValueDim, 12), q = random_matrix(20, kDim, 13);
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  double with = 0, without = 0;
  for (std::size_t r = 0; r < q.rows(); ++r) {
    Matrix<float> row(1, kDim);
    std::copy_n(q.row(r), kDim, row.row(0));
    const auto hits = best(row, 0, keys, 100);
    const Estimate tail = estimate(cells, row, {hits});
    double all = 0, held = 0;
    for (std::size_t i = 0; i < 4000; ++i)
      all += std::exp(static_cast<double>(kScale * score(row, 0, keys, i)));
    for (const index::Hit& hit : hits) held += std::exp(static_cast<double>(kScale * hit.score));
    without += 1 - held / all;
    with += std::abs(1 - (held + tail.sum(0)) / all);
  }
  EXPECT_LT(with, 0.3 * without) << with << " of " << without;
}

TEST(TailCells, ShrinkTakesPiecesBack) {
  const Matrix<float> keys = random_matrix(900, kDim, 14),
                      values = random_matrix(900, kValueDim, 15), q = random_matrix(2, kDim, 16);
  const auto piece = [&](TailCells& cells, std::size_t first, std::size_t count) {
    cells.append(keys.view().row_range(first, count), values.view().row_range(first, count), {}, 1);
  };
  TailCells once, again;
  for (TailCells* cells : {&once, &again}) piece(*cells, 0, 600);
  piece(again, 600, 256);
  EXPECT_EQ(again.cells(), once.cells() + 1);
  piece(again, 856, 44);
  again.shrink(600);
  EXPECT_EQ(again.keys(), 600u);
  const std::vector<std::vector<index::Hit>> hits{best(q, 0, keys, 30), {}};
  const Estimate a = estimate(once, q, hits), b = estimate(again, q, hits);
  for (std::size_t r = 0; r < 2; ++r) EXPECT_EQ(a.parts[r].sum, b.parts[r].sum);
  piece(once, 600, 256);
  piece(again, 600, 256);
  EXPECT_EQ(estimate(once, q, hits).parts[1].sum, estimate(again, q, hits).parts[1].sum);
  EXPECT_EQ(once.bytes(), again.bytes());
}

// Hits that no cell knows (keys that have just left the window) change nothing but the cap.
TEST(TailCells, HitsOfOtherKeysArePassedOver) {
  const Matrix<float> keys = random_matrix(300, kDim, 17),
                      values = random_matrix(300, kValueDim, 18), q = random_matrix(1, kDim, 19);
  TailCells cells;
  cells.append(keys.view(), values.view(), {}, 1);
  const Estimate none = estimate(cells, q, {{}}), other = estimate(cells, q, {{{300, 1e6f}}});
  EXPECT_EQ(none.parts[0].sum, other.parts[0].sum);
}

}  // namespace
}  // namespace ra::attention
