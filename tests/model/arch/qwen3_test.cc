// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_levels.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"qwen3-f16", "qwen3-f16", {}},
};

TEST(Qwen3, ReferenceBackendMatchesTransformers) { test::expect_reference_matches(kCases); }

class Qwen3Levels : public test::GoldenLevels {};
RA_INSTANTIATE_LEVELS(Qwen3Levels);

TEST_P(Qwen3Levels, F32PathMatchesTransformers) { expect_f32_path_matches(kCases); }

TEST_P(Qwen3Levels, FastPathGivesTheSameGreedyTokens) {
  expect_fast_path_gives_the_same_greedy(kCases);
}

}  // namespace
}  // namespace ra::model
