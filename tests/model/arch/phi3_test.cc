// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_levels.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"phi3-f16", "phi3-f16", {}},
};

TEST(Phi3, ReferenceBackendMatchesTransformers) { test::expect_reference_matches(kCases); }

class Phi3Levels : public test::GoldenLevels {};
RA_INSTANTIATE_LEVELS(Phi3Levels);

TEST_P(Phi3Levels, F32PathMatchesTransformers) { expect_f32_path_matches(kCases); }

TEST_P(Phi3Levels, FastPathGivesTheSameGreedyTokens) {
  expect_fast_path_gives_the_same_greedy(kCases);
}

}  // namespace
}  // namespace ra::model
