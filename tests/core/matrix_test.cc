// SPDX-License-Identifier: Apache-2.0
#include "lib/core/matrix.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <utility>

namespace ra {
namespace {

TEST(AlignedBuffer, IsAlignedAndGrowsOnly) {
  AlignedBuffer<float> empty;
  EXPECT_EQ(empty.size(), 0u);
  EXPECT_EQ(empty.data(), nullptr);
  for (const std::size_t n : {1, 15, 16, 17, 1000}) {
    const AlignedBuffer<float> b(n);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % 64, 0u);
    EXPECT_EQ(b.span().size(), n);
  }
  AlignedBuffer<float> b(10);
  const float* before = b.data();
  b.reserve_discard(10);
  EXPECT_EQ(b.data(), before);
  b.reserve_discard(11);
  EXPECT_EQ(b.size(), 11u);
  b.reserve_discard(3);
  EXPECT_EQ(b.size(), 11u);
}

TEST(AlignedBuffer, RefusesSizesThatWrap) {
  EXPECT_THROW(AlignedBuffer<double>(SIZE_MAX / 4), std::bad_alloc);
  EXPECT_THROW(AlignedBuffer<double>(SIZE_MAX / 8 + 2), std::bad_alloc);
}

TEST(Matrix, IsZeroFilledAndRowMajor) {
  Matrix<int> m(3, 5);
  EXPECT_EQ(m.rows(), 3u);
  EXPECT_EQ(m.cols(), 5u);
  EXPECT_EQ(m.bytes(), 60u);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(m.data()[i], 0);
  m.row(2)[4] = 7;
  EXPECT_EQ(m.data()[14], 7);
  EXPECT_EQ(m.row_span(2)[4], 7);
  EXPECT_EQ(m.view().row(2)[4], 7);
  EXPECT_EQ(std::as_const(m).view().row(2)[4], 7);
  EXPECT_EQ(std::as_const(m).row_span(2).size(), 5u);
}

TEST(Matrix, EmptyShapes) {
  EXPECT_EQ(Matrix<float>().bytes(), 0u);
  EXPECT_EQ(Matrix<float>(0, 5).bytes(), 0u);
  EXPECT_EQ(Matrix<float>(5, 0).row_span(4).size(), 0u);
}

TEST(Matrix, RefusesShapesThatWrap) {
  EXPECT_THROW((Matrix<float>(std::size_t{1} << 33, std::size_t{1} << 33)), std::bad_alloc);
}

TEST(Matrix, MovedFromIsEmpty) {
  Matrix<int> a(2, 2);
  a.row(1)[1] = 9;
  Matrix<int> b = std::move(a);
  EXPECT_EQ(b.row(1)[1], 9);
  EXPECT_EQ(a.rows(), 0u);
  EXPECT_EQ(a.bytes(), 0u);
  a = std::move(b);
  EXPECT_EQ(a.row(1)[1], 9);
  EXPECT_EQ(b.cols(), 0u);
}

}  // namespace
}  // namespace ra
