// SPDX-License-Identifier: Apache-2.0
// The golden tests of one architecture: its tiny random models against `transformers` in f32
// (tests/golden/model/make_golden.py), on the oracle backend and on every level of the CPU backend.
#pragma once

#include <span>

#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
#include "tests/support/levels.h"
#include "tests/support/model_run.h"
#include "tests/support/reference_backend.h"

namespace ra::test {

inline void expect_reference_matches(std::span<const GoldenCase> cases) {
  ReferenceBackend backend;
  ReferenceAttention attention;
  for (const GoldenCase& c : cases) expect_matches_golden(c, backend, attention);
}

// Suites derive from it as from LevelTest; the level is the active one in the body.
class GoldenLevels : public testing::LevelTest {
 protected:
  void SetUp() override {
    LevelTest::SetUp();
    if (kernels::cpu_has(level())) kernels::set_active_level(level());
  }
  void TearDown() override { kernels::set_active_level(before_); }

  // Logits, post-RoPE Q, K, V and greedy tokens.
  static void expect_f32_path_matches(std::span<const GoldenCase> cases) {
    model::CpuBackend backend(model::Compute::kF32);
    model::ExactAttention attention(model::Compute::kF32);
    for (const GoldenCase& c : cases) expect_matches_golden(c, backend, attention);
  }
  static void expect_fast_path_gives_the_same_greedy(std::span<const GoldenCase> cases) {
    model::CpuBackend backend(model::Compute::kAuto);
    model::ExactAttention attention(model::Compute::kAuto);
    for (const GoldenCase& c : cases) expect_same_greedy(c, backend, attention);
  }

 private:
  kernels::Level before_ = kernels::active_level();
};

}  // namespace ra::test
