// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_segment.h"

#include <gtest/gtest.h>

#include <set>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

class CellSegmentTest : public ::testing::Test {
 protected:
  CellSegmentTest() {
    BuildClock clock;
    std::int64_t distances = 0;
    cells_ = build_cells(keys_.view(), {.cells = 30, .tops = 5}, clock, distances);
  }
  Matrix<float> keys_ = testing::gaussian(700, 12, 1);
  Matrix<float> query_ = testing::gaussian(1, 12, 2);
  Cells cells_;
};

TEST_F(CellSegmentTest, RowsHaveTheIdsOfTheirKeys) {
  const CellSegment segment(keys_.view(), {}, cells_, 1000, 8);
  EXPECT_EQ(segment.keys(), 700u);
  std::set<std::uint32_t> ids;
  for (std::uint32_t row = 0; row < 700; ++row) ids.insert(segment.key_of(row));
  EXPECT_EQ(ids.size(), 700u);
  EXPECT_EQ(*ids.begin(), 1000u);
  EXPECT_EQ(*ids.rbegin(), 1699u);
  EXPECT_EQ(segment.cells().order, cells_.order);
}

// Scores of a query with all rows by their codes.
std::vector<float> scores_by(const KeyCodes& codes, const float* query) {
  std::vector<std::int8_t> q(codes.rank());
  std::vector<float> out(codes.blocks() * kernels::kCodeKeys);
  const float unit = codes.encode(query, q.data());
  codes.score_first(q.data(), 1, codes.blocks(), out.data(), out.size());
  for (float& v : out) v *= unit;
  return out;
}

TEST_F(CellSegmentTest, CellsAndTopsScoreAsTheMeanOfTheirKeys) {
  const CellSegment segment(keys_.view(), {}, cells_, 0, 8);
  const auto scores = scores_by(segment.mean_codes(), query_.row(0));
  const auto expect_mean = [&](float score, std::uint32_t first, std::uint32_t last) {
    double sum = 0;
    for (std::uint32_t row = first; row < last; ++row)
      sum += dot(query_.row(0), keys_.row(segment.key_of(row)), 12);
    EXPECT_NEAR(segment.centre(query_.row(0)) + score, sum / (last - first), 0.06);
  };
  const auto& cell = segment.cell().begin;
  for (std::size_t t = 0; t < segment.top().count(); ++t)
    expect_mean(scores[t], cell[segment.top().begin[t]], cell[segment.top().begin[t + 1]]);
  for (std::size_t c = 0; c < segment.cell().count(); ++c)
    expect_mean(scores[segment.first_cell_block() * kernels::kCodeKeys + c], cell[c], cell[c + 1]);
}

// The root mean square error of scores by codes.
double error_of(const CellSegment& segment, const Matrix<float>& keys, const float* query) {
  const auto scores = scores_by(segment.key_codes(), query);
  double square = 0;
  for (std::uint32_t row = 0; row < segment.keys(); ++row)
    square +=
        std::pow(segment.centre(query) + scores[row] -
                     dot(query, keys.row(segment.key_of(row) - segment.first_key()), keys.cols()),
                 2);
  return std::sqrt(square / static_cast<double>(segment.keys()));
}

TEST_F(CellSegmentTest, CodesGiveTheScoresOfKeys) {
  // Keys share a mean that no code has to hold.
  for (std::size_t i = 0; i < 700; ++i) keys_.row(i)[0] += 50;
  const double norm = std::sqrt(dot(query_.row(0), query_.row(0), 12));
  EXPECT_LT(error_of(CellSegment(keys_.view(), {}, cells_, 7, 8), keys_, query_.row(0)),
            0.02 * norm);
  EXPECT_LT(error_of(CellSegment(keys_.view(), {}, cells_, 7, 4), keys_, query_.row(0)),
            0.2 * norm);
  EXPECT_EQ(CellSegment(keys_.view(), {}, cells_, 7, 0).key_codes().rows(), 0u);
}

TEST_F(CellSegmentTest, FourBitsTakeHalf) {
  const auto bytes = [&](int bits) {
    return CellSegment(keys_.view(), {}, cells_, 0, bits).bytes();
  };
  EXPECT_EQ(bytes(8) - bytes(4), 704u * 12 - 704u * 16 / 2 - 4 * 4) << "of whole blocks, rank 16";
  EXPECT_LT(bytes(0), bytes(4));
}

}  // namespace
}  // namespace ra::index
