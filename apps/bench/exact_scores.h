// SPDX-License-Identifier: Apache-2.0
// Scores of all keys for the heads of one query, and what a mode's choice of keys is worth by them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/model/attention_policy.h"

namespace ra::bench_app {

// Of one query head: keys at positions [begin, end) may be retrieved, the others are static.
struct Chosen {
  std::int64_t begin = 0, end = 0;
  std::span<const std::uint32_t> retrieved;  // positions
};

class ExactScores {
 public:
  // `in` has one row of `heads` queries; layer 0 of its cache is scored up to in.pos.
  ExactScores(const model::AttendInput& in, std::size_t heads);

  // Softmax mass of the static keys and those retrieved.
  double mass(std::size_t head, const Chosen& chosen) const;
  // Share of the k best of [begin, end) that are retrieved; where fewer are, k is their number. 1
  // if there are none.
  double recall(std::size_t head, const Chosen& chosen, std::size_t k) const;

 private:
  Matrix<float> logits_;  // [heads, in.pos + 1]
  std::vector<double> all_;
  std::vector<float> top_;  // [heads] largest logit, and the sum of exp(logit - top)
};

}  // namespace ra::bench_app
