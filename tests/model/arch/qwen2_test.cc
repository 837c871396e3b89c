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
    {"qwen2-f32", "qwen2-f32", {}},
    {"qwen2-q5_0", "qwen2-q5_0", {}},
    {"qwen2-kquants", "qwen2-kquants", {}},
    {"qwen2-f32.yarn", "qwen2-f32", RopeScaling{RopeScalingType::kYarn, 4, 32}},
};

TEST(Qwen2, ReferenceBackendMatchesTransformers) {
  test::ReferenceBackend backend;
  test::ReferenceAttention attention;
  for (const test::GoldenCase& c : kCases) test::expect_matches_golden(c, backend, attention);
}

class Qwen2Levels : public ra::testing::LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    if (kernels::cpu_has(level())) kernels::set_active_level(level());
  }
  void TearDown() override { kernels::set_active_level(before_); }

 private:
  kernels::Level before_ = kernels::active_level();
};
RA_INSTANTIATE_LEVELS(Qwen2Levels);

TEST_P(Qwen2Levels, F32PathMatchesTransformers) {
  CpuBackend backend(Compute::kF32);
  ExactAttention attention(Compute::kF32);
  for (const test::GoldenCase& c : kCases) test::expect_matches_golden(c, backend, attention);
}

TEST_P(Qwen2Levels, FastPathGivesTheSameGreedyTokens) {
  CpuBackend backend(Compute::kAuto);
  ExactAttention attention(Compute::kAuto);
  for (const test::GoldenCase& c : kCases) test::expect_same_greedy(c, backend, attention);
}

}  // namespace
}  // namespace ra::model
