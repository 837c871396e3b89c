// SPDX-License-Identifier: Apache-2.0
#include "lib/model/rope.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace ra::model {
namespace {

TEST(Rope, PlainFrequenciesAreAGeometricSeries) {
  const RotaryFrequencies f = rotary_frequencies(10000, 8, {});
  ASSERT_EQ(f.inv_freq.size(), 4u);
  EXPECT_EQ(f.magnitude, 1);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(f.inv_freq[i], std::pow(10, -double(i)), 1e-15);
}

TEST(Rope, LinearDividesAll) {
  const RotaryFrequencies plain = rotary_frequencies(500000, 64, {});
  const RotaryFrequencies f =
      rotary_frequencies(500000, 64, {.type = RopeScalingType::kLinear, .factor = 4});
  for (std::size_t i = 0; i < 32; ++i) EXPECT_DOUBLE_EQ(f.inv_freq[i] * 4, plain.inv_freq[i]);
  EXPECT_EQ(f.magnitude, 1);
}

TEST(Rope, Llama3DividesByTheFilesFactors) {
  const RotaryFrequencies f =
      rotary_frequencies(10000, 4, {.type = RopeScalingType::kLlama3}, std::array{1.f, 8.f});
  EXPECT_DOUBLE_EQ(f.inv_freq[0], 1);
  EXPECT_DOUBLE_EQ(f.inv_freq[1], 0.01 / 8);
}

// transformers 5.23 _compute_yarn_parameters: base 1e6, dim 64, factor 4, original context 32768
// (Qwen2.5 beyond 32K), pairs 0, 8, 16, 20, 24, 28, 31.
TEST(Rope, YarnEqualsTransformers) {
  const RotaryFrequencies f = rotary_frequencies(
      1e6, 64, {.type = RopeScalingType::kYarn, .factor = 4, .original_context = 32768});
  EXPECT_NEAR(f.magnitude, 1.13862944, 1e-6);
  constexpr std::array<std::pair<std::size_t, double>, 7> kWant{{{0u, 1},
                                                                 {8u, 0.0316227786},
                                                                 {16u, 0.000583333371},
                                                                 {20u, 4.44569851e-05},
                                                                 {24u, 7.90569356e-06},
                                                                 {28u, 1.40585337e-06},
                                                                 {31u, 3.84981632e-07}}};
  for (const auto& [i, want] : kWant) EXPECT_NEAR(f.inv_freq[i] / want, 1, 1e-6) << i;
}

TEST(Rope, YarnKeepsFastPairsAndStretchesSlowOnes) {
  const RopeScaling yarn{.type = RopeScalingType::kYarn, .factor = 8, .original_context = 4096};
  const RotaryFrequencies plain = rotary_frequencies(10000, 128, {});
  const RotaryFrequencies f = rotary_frequencies(10000, 128, yarn);
  EXPECT_DOUBLE_EQ(f.inv_freq.front(), plain.inv_freq.front());
  EXPECT_DOUBLE_EQ(f.inv_freq.back() * 8, plain.inv_freq.back());
  for (std::size_t i = 1; i < 64; ++i) EXPECT_LT(f.inv_freq[i], f.inv_freq[i - 1]);
}

// A context so short that both ends of the ramp fall on pair 0.
TEST(Rope, YarnRampOfNoWidthIsAStep) {
  const RotaryFrequencies f = rotary_frequencies(
      10000, 8, {.type = RopeScalingType::kYarn, .factor = 2, .original_context = 1});
  EXPECT_DOUBLE_EQ(f.inv_freq[0], 1);
  EXPECT_DOUBLE_EQ(f.inv_freq[1], 0.05);
}

TEST(Rope, NamesInFiles) {
  EXPECT_EQ(name_of(RopeStyle::kInterleaved), "interleaved");
  EXPECT_EQ(name_of(RopeStyle::kHalf), "half");
  EXPECT_EQ(name_of(RopeStyle::kNone), "none");
  Config c;
  c.rotary_dims = 64;
  EXPECT_EQ(rope_scaling_json(c),
            R"({"type":"none","factor":1.0,"original_context":null,"rotary_dims":64})");
  c.rope_scaling = {
      .type = RopeScalingType::kYarn, .factor = 4.5, .original_context = std::int64_t{32768}};
  EXPECT_EQ(rope_scaling_json(c),
            R"({"type":"yarn","factor":4.5,"original_context":32768,"rotary_dims":64})");
}

}  // namespace
}  // namespace ra::model
