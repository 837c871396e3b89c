// SPDX-License-Identifier: Apache-2.0
// Runs a tiny model over a prompt and keeps everything a golden test compares.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/model/decoder.h"
#include "tests/support/reference_file.h"

namespace ra::test {

struct ModelRun {
  std::vector<float> logits;   // [tokens, vocab]
  std::vector<float> q, k, v;  // [layers, tokens, width]
};

struct RunOptions {
  std::size_t chunk = 1024;  // 0: token by token through Decoder::step
  model::KvType kv = model::KvType::kF32;
};

ModelRun run_prompt(const model::Model& m, model::Backend& backend,
                    model::AttentionPolicy& attention, std::span<const std::int32_t> ids,
                    const RunOptions& options = {});

// `n` greedy tokens after the prompt.
std::vector<std::int32_t> run_greedy(const model::Model& m, model::Backend& backend,
                                     model::AttentionPolicy& attention,
                                     std::span<const std::int32_t> ids, std::size_t n,
                                     const RunOptions& options = {});

struct Difference {
  double max_rel = 0;  // largest |got - want| over largest |want|
  double nmse = 0;     // sum (got - want)^2 over sum want^2
};
Difference difference(std::span<const float> got, std::span<const float> want);

// Runs tests/golden/gguf/`model_name` and holds it against tests/golden/model/`reference_name`.ref:
// logits, Q, K, V and the greedy continuation. Adds gtest failures.
struct GoldenCase {
  std::string reference_name, model_name;
  std::optional<model::RopeScaling> rope_scaling;
};
void expect_matches_golden(const GoldenCase& golden, model::Backend& backend,
                           model::AttentionPolicy& attention);
// The greedy continuation alone, with keys and values in bf16: for the fast path.
void expect_same_greedy(const GoldenCase& golden, model::Backend& backend,
                        model::AttentionPolicy& attention);

}  // namespace ra::test
