// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_levels.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"llama-f32", "llama-f32", {}},
    {"llama-bf16-f16", "llama-bf16-f16", {}},
    {"llama-q4_1-q8_0", "llama-q4_1-q8_0", {}},
    {"llama-kquants", "llama-kquants", {}},
    {"llama-window", "llama-window", {}},  // against transformers' Mistral
    {"llama-f32.llama3", "llama-f32", {}},
    {"llama-f32.linear", "llama-f32", RopeScaling{RopeScalingType::kLinear, 4, {}}},
};

TEST(Llama, ReferenceBackendMatchesTransformers) { test::expect_reference_matches(kCases); }

class LlamaLevels : public test::GoldenLevels {};
RA_INSTANTIATE_LEVELS(LlamaLevels);

TEST_P(LlamaLevels, F32PathMatchesTransformers) { expect_f32_path_matches(kCases); }

TEST_P(LlamaLevels, FastPathGivesTheSameGreedyTokens) {
  expect_fast_path_gives_the_same_greedy(kCases);
}

}  // namespace
}  // namespace ra::model
