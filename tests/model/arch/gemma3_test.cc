// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_levels.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"gemma3-f16", "gemma3-f16", {}},
    // Only the layers without a window are scaled.
    {"gemma3-f16.linear", "gemma3-f16", RopeScaling{RopeScalingType::kLinear, 8, {}}},
};

TEST(Gemma3, ReferenceBackendMatchesTransformers) { test::expect_reference_matches(kCases); }

class Gemma3Levels : public test::GoldenLevels {};
RA_INSTANTIATE_LEVELS(Gemma3Levels);

TEST_P(Gemma3Levels, F32PathMatchesTransformers) { expect_f32_path_matches(kCases); }

TEST_P(Gemma3Levels, FastPathGivesTheSameGreedyTokens) {
  expect_fast_path_gives_the_same_greedy(kCases);
}

}  // namespace
}  // namespace ra::model
