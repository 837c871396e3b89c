// SPDX-License-Identifier: Apache-2.0
#include "lib/model/backend.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/random.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

TEST(Backend, OnTheHostAllViewsAreOfPlainMemory) {
  test::ReferenceBackend backend;
  const auto memory = backend.allocate(12);
  const MatView<float> x(memory.get(), 3, 4);
  const Matrix<float> rows = testing::random_matrix(3, 4, 1);
  backend.from_host(rows.view(), x);
  const MatView<const float> read = backend.on_host(x);
  EXPECT_EQ(read.data, x.data);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(read.data[i], rows.data()[i]);
}

TEST(Backend, FindsTheFirstRowThatIsNotFinite) {
  test::ReferenceBackend backend;
  Matrix<float> x = testing::random_matrix(5, 7, 1);
  EXPECT_EQ(backend.first_bad_row(x.view()), std::nullopt);
  x.row(4)[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(backend.first_bad_row(x.view()), 4u);
  x.row(2)[0] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(backend.first_bad_row(x.view()), 2u);
  EXPECT_EQ(backend.first_bad_row(x.view().row_range(0, 2)), std::nullopt);
}

TEST(Backend, LapsAddUp) {
  test::ReferenceBackend backend;
  double ms = 1;
  backend.start_clock();
  backend.lap(&ms);
  backend.lap(nullptr);
  backend.lap(&ms);
  EXPECT_GE(ms, 1);
  EXPECT_LT(ms, 1e6);
}

}  // namespace
}  // namespace ra::model
