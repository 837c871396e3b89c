// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_levels.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"qwen2-f32", "qwen2-f32", {}},
    {"qwen2-q5_0", "qwen2-q5_0", {}},
    {"qwen2-kquants", "qwen2-kquants", {}},
    {"qwen2-f32.yarn", "qwen2-f32", RopeScaling{RopeScalingType::kYarn, 4, 32}},
};

TEST(Qwen2, ReferenceBackendMatchesTransformers) { test::expect_reference_matches(kCases); }

class Qwen2Levels : public test::GoldenLevels {};
RA_INSTANTIATE_LEVELS(Qwen2Levels);

TEST_P(Qwen2Levels, F32PathMatchesTransformers) { expect_f32_path_matches(kCases); }

TEST_P(Qwen2Levels, FastPathGivesTheSameGreedyTokens) {
  expect_fast_path_gives_the_same_greedy(kCases);
}

}  // namespace
}  // namespace ra::model
