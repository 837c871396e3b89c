// SPDX-License-Identifier: Apache-2.0
#include "lib/store/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/rng.h"

namespace ra::store {
namespace {

// Value of an IEEE half, by definition.
double half_value(unsigned h) {
  const int exponent = static_cast<int>((h >> 10) & 31), mantissa = static_cast<int>(h & 1023);
  const double sign = (h & 0x8000u) != 0 ? -1 : 1;
  if (exponent == 31)
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  return sign *
         (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

unsigned half_of(float x) {
  std::uint16_t out = 0;
  narrow(DType::kF16, &x, 1, &out);
  return out;
}

TEST(ConvertTest, WidensEveryHalf) {
  std::vector<std::uint16_t> in(65536);
  for (unsigned h = 0; h < 65536; ++h) in[h] = static_cast<std::uint16_t>(h);
  std::vector<float> out(65536);
  widen(DType::kF16, in.data(), in.size(), out.data());
  for (unsigned h = 0; h < 65536; ++h) {
    const double want = half_value(h);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(out[h])) << h;
    } else {
      EXPECT_EQ(out[h], want) << h;
      EXPECT_EQ(std::signbit(out[h]), std::signbit(want)) << h;
    }
  }
}

// Every half, and the halfway points and their neighbours between it and the next one.
TEST(ConvertTest, NarrowsToTheNearestHalfTiesToEven) {
  for (unsigned h = 0; h < 0x7bff; ++h) {
    const double low = half_value(h), high = half_value(h + 1);
    const auto middle = static_cast<float>((low + high) / 2);  // exact in f32
    const unsigned even = (h & 1) == 0 ? h : h + 1;
    ASSERT_EQ(half_of(static_cast<float>(low)), h);
    ASSERT_EQ(half_of(-static_cast<float>(low)), h | 0x8000u);
    ASSERT_EQ(half_of(middle), even);
    ASSERT_EQ(half_of(std::nextafter(middle, 0.0f)), h);
    ASSERT_EQ(half_of(std::nextafter(middle, 1e9f)), h + 1);
  }
}

TEST(ConvertTest, CountsOverflowAndClampsIt) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> in{65504, 65519.996f, 65520, -1e10f, inf, -inf, NAN, 0};
  std::vector<std::uint16_t> out(in.size());
  const Narrowed n = narrow(DType::kF16, in.data(), in.size(), out.data());
  EXPECT_EQ(n.overflow, 2u);
  EXPECT_EQ(n.not_finite, 3u);
  EXPECT_EQ(
      out, (std::vector<std::uint16_t>{0x7bff, 0x7bff, 0x7bff, 0xfbff, 0x7c00, 0xfc00, out[6], 0}));
  EXPECT_EQ(out[6] & 0x7fffu, 0x7e00u);
}

TEST(ConvertTest, Bf16MatchesTheDefinitionAndClamps) {
  const Rng rng_source(7);
  Rng rng = rng_source;
  for (int i = 0; i < 200000; ++i) {
    const auto u = static_cast<std::uint32_t>(rng.next());
    const auto x = std::bit_cast<float>(u);
    std::uint16_t out = 0;
    const Narrowed n = narrow(DType::kBf16, &x, 1, &out);
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(bf16{out})));
    } else if (std::isfinite(x) && std::isinf(to_float(to_bf16(x)))) {
      EXPECT_EQ(n.overflow, 1u);
      EXPECT_EQ(out & 0x7fffu, 0x7f7fu);
    } else {
      ASSERT_EQ(out, to_bf16(x).bits) << x;
    }
    float back = 0;
    widen(DType::kBf16, &out, 1, &back);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(back), std::uint32_t{out} << 16);
  }
  const float largest = std::numeric_limits<float>::max();
  std::uint16_t out = 0;
  EXPECT_EQ(narrow(DType::kBf16, &largest, 1, &out).overflow, 1u);
  EXPECT_EQ(out, 0x7f7f);
}

TEST(ConvertTest, OddSizesTouchNothingElse) {
  for (const DType type : {DType::kF16, DType::kBf16}) {
    for (std::size_t n = 0; n < 70; ++n) {
      std::vector<float> in(n, 1.5f), back(n + 1, -7);
      std::vector<std::uint16_t> out(n + 1, 0xabcd);
      narrow(type, in.data(), n, out.data());
      EXPECT_EQ(out[n], 0xabcd);
      widen(type, out.data(), n, back.data());
      EXPECT_EQ(back[n], -7);
      for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(back[i], 1.5f);
    }
  }
}

TEST(ConvertTest, F32IsKeptAndLookedAt) {
  const std::vector<float> in{1, NAN, -0.0f, 1e38f};
  std::vector<float> out(4), back(4);
  const Narrowed n = narrow(DType::kF32, in.data(), 4, out.data());
  EXPECT_EQ(n.not_finite, 1u);
  EXPECT_EQ(n.overflow, 0u);
  widen(DType::kF32, out.data(), 4, back.data());
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(std::bit_cast<std::uint32_t>(in[i]), std::bit_cast<std::uint32_t>(back[i]));
}

}  // namespace
}  // namespace ra::store
