// SPDX-License-Identifier: Apache-2.0
// Tiny random models of this architecture against `transformers` in f32
// (tests/golden/model/make_golden.py): logits, post-RoPE Q, K, V, greedy tokens.
#include <gtest/gtest.h>

#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
#include "tests/support/levels.h"
#include "tests/support/model_run.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

const test::GoldenCase kCases[] = {
    {"llama-f32", "llama-f32", {}},
    {"llama-bf16-f16", "llama-bf16-f16", {}},
    {"llama-q4_1-q8_0", "llama-q4_1-q8_0", {}},
    {"llama-kquants", "llama-kquants", {}},
    {"llama-f32.llama3", "llama-f32", {}},
    {"llama-f32.linear", "llama-f32", RopeScaling{RopeScalingType::kLinear, 4, {}}},
};

TEST(Llama, ReferenceBackendMatchesTransformers) {
  test::ReferenceBackend backend;
  test::ReferenceAttention attention;
  for (const test::GoldenCase& c : kCases) test::expect_matches_golden(c, backend, attention);
}

class LlamaLevels : public ra::testing::LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    if (kernels::cpu_has(level())) kernels::set_active_level(level());
  }
  void TearDown() override { kernels::set_active_level(before_); }

 private:
  kernels::Level before_ = kernels::active_level();
};
RA_INSTANTIATE_LEVELS(LlamaLevels);

TEST_P(LlamaLevels, F32PathMatchesTransformers) {
  CpuBackend backend(Compute::kF32);
  ExactAttention attention(Compute::kF32);
  for (const test::GoldenCase& c : kCases) test::expect_matches_golden(c, backend, attention);
}

TEST_P(LlamaLevels, FastPathGivesTheSameGreedyTokens) {
  CpuBackend backend(Compute::kAuto);
  ExactAttention attention(Compute::kAuto);
  for (const test::GoldenCase& c : kCases) test::expect_same_greedy(c, backend, attention);
}

}  // namespace
}  // namespace ra::model
