// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/roofline.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ra::bench {
namespace {

// Rates depend on the machine; that they are rates at all does not.
TEST(RooflineTest, RatesArePositiveAndFinite) {
  const double read = read_bandwidth_gb_s(std::size_t{1} << 20, 1);
  EXPECT_GT(read, 0);
  EXPECT_TRUE(std::isfinite(read));
  const double multiply = multiply_peak_tflop_s(false, 1e-4);
  EXPECT_GT(multiply, 0);
  EXPECT_TRUE(std::isfinite(multiply));
}

}  // namespace
}  // namespace ra::bench
