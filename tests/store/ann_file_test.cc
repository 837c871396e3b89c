// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "lib/core/error.h"
#include "lib/store/vectors.h"
#include "tests/store/sample_dump.h"
#include "tests/support/random.h"
#include "tests/support/temp_folder.h"

namespace ra::store {
namespace {

using ra::testing::random_matrix;
using ra::testing::TempFolder;

TEST(AnnFileTest, RoundTripKeepsInnerProducts) {
  const TempFolder folder;
  const auto train = random_matrix(300, 5, 1), test = random_matrix(4, 5, 2),
             learn = random_matrix(7, 5, 3);
  AnnExport data{train.view(), test.view(), learn.view(), {}, {}, 2};
  for (int i = 0; i < 8; ++i) {
    data.neighbors.push_back(i * 3);
    float ip = 0;
    for (int d = 0; d < 5; ++d) ip += train.row(i * 3)[d] * test.row(i / 2)[d];
    data.distances.push_back(ip);
  }
  const auto file = folder / "a.hdf5";
  write_ann_file(file, data, false);
  EXPECT_TRUE(is_ann_file(file));
  const AnnFile back = read_ann_file(file);
  ASSERT_EQ(back.train.rows(), 300u);
  ASSERT_EQ(back.train.cols(), 6u);
  EXPECT_EQ(back.test.rows(), 4u);
  EXPECT_EQ(back.learn.rows(), 7u);
  EXPECT_EQ(back.neighbors, data.neighbors);
  EXPECT_EQ(back.n_neighbors, 2u);
  double norm = 0;  // every lifted key lies on one sphere
  for (std::size_t i = 0; i < 300; ++i) {
    double n2 = 0;
    for (std::size_t d = 0; d < 6; ++d) n2 += double{back.train.row(i)[d]} * back.train.row(i)[d];
    if (i == 0) norm = n2;
    EXPECT_NEAR(n2, norm, 1e-4);
    for (std::size_t d = 0; d < 5; ++d) EXPECT_EQ(back.train.row(i)[d], train.row(i)[d]);
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(back.test.row(i)[5], 0);
  try {
    write_ann_file(file, data, false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kCannotCreate);
  }
}

TEST(AnnFileTest, ADumpIsNone) {
  const TempFolder folder;
  testing::write_sample(testing::sample_dump(), {.out = folder / "d.h5"});
  EXPECT_FALSE(is_ann_file(folder / "d.h5"));
  EXPECT_THROW(read_ann_file(folder / "d.h5"), Error);
}

}  // namespace
}  // namespace ra::store
