// SPDX-License-Identifier: Apache-2.0
// Tiny random models of this architecture against `transformers` in f32
// (tests/golden/model/make_golden.py): logits, post-RoPE Q, K, V, greedy tokens.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ra::model
