// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <gtest/gtest.h>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(KeyStoreTest, CopiesStridedRows) {
  const auto wide = testing::gaussian(5, 9, 1);
  const Matrix<float> copy = copy_rows({wide.data(), 5, 4, 9});
  ASSERT_EQ(copy.cols(), 4u);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(copy.row(i)[j], wide.row(i)[j]);
}

void expect_scores(const KeyRows& rows, const Matrix<float>& keys) {
  const auto queries = testing::gaussian(3, 6, 2);
  const std::vector<std::uint32_t> picked{8, 0, 2};
  float range[9], ids[12];
  rows.score_range(queries.view(), 1, 3, range, 3);
  rows.score_ids(queries.view(), picked, ids, 4);
  for (std::size_t j = 0; j < 3; ++j) {
    for (std::size_t r = 0; r < 3; ++r) {
      EXPECT_NEAR(range[3 * r + j], dot(queries.row(r), keys.row(1 + j), 6), 1e-5);
      EXPECT_NEAR(ids[4 * r + j], dot(queries.row(r), keys.row(picked[j]), 6), 1e-5);
    }
  }
}

Matrix<float> rounded(const Matrix<float>& keys) {
  Matrix<float> out = copy_rows(keys.view());
  for (std::size_t i = 0; i < keys.rows() * keys.cols(); ++i)
    out.data()[i] = to_float(to_bf16(keys.data()[i]));
  return out;
}

TEST(KeyStoreTest, RowsAreExactAndTakeTwoBytesWherePossible) {
  const auto wide = testing::gaussian(9, 6, 1), narrow = rounded(wide);
  for (const auto* keys : {&wide, &narrow}) {
    const KeyRows rows(keys->view());
    const std::size_t bytes = keys == &wide ? 4 : 2;
    EXPECT_EQ(rows.rows(), 9u);
    EXPECT_EQ(rows.row_bytes(), 6 * bytes);
    EXPECT_EQ(rows.bytes(), 9 * 6 * bytes);
    expect_scores(rows, *keys);
  }
}

TEST(KeyStoreTest, RowsAreAppendedAndCutOff) {
  const auto wide = testing::gaussian(9, 6, 1), narrow = rounded(wide);
  // Rows that bf16 would round make all of them f32.
  for (const auto* last : {&narrow, &wide}) {
    KeyRows rows(narrow.view().row_range(0, 4));
    rows.append(last->view().row_range(4, 5));
    Matrix<float> all = copy_rows(narrow.view());
    for (std::size_t i = 4; i < 9; ++i) std::copy_n(last->row(i), 6, all.row(i));
    EXPECT_EQ(rows.bytes(), 9u * 6 * (last == &wide ? 4 : 2));
    expect_scores(rows, all);
    rows.truncate(5);
    EXPECT_EQ(rows.rows(), 5u);
    rows.append(last->view().row_range(5, 4));
    expect_scores(rows, all);
  }
}

TEST(KeyStoreTest, StoredKeysAreReadWhereTheyAre) {
  const auto keys = testing::gaussian(9, 6, 1);
  Matrix<float> wide(9, 10);
  for (std::size_t i = 0; i < 9; ++i) std::copy_n(keys.row(i), 6, wide.row(i));
  KeyRows rows(keys.view().row_range(0, 4), {wide.data(), kernels::KvType::kF32, 10});
  rows.append(keys.view().row_range(4, 5));
  EXPECT_EQ(rows.rows(), 9u);
  EXPECT_EQ(rows.bytes(), 0u);
  EXPECT_EQ(rows.row_bytes(), 24u);
  expect_scores(rows, keys);
}

TEST(KeyStoreDeathTest, WrongShapesAbort) {
  const auto queries = testing::gaussian(2, 4, 1);
  std::vector<std::vector<Hit>> hits(2);
  check_search(queries.view(), 4, {}, hits);
  EXPECT_DEATH(check_search(queries.view(), 5, {}, hits), "queries.cols");
  hits.resize(1);
  EXPECT_DEATH(check_search(queries.view(), 4, {}, hits), "hits.size");
}

}  // namespace
}  // namespace ra::index
