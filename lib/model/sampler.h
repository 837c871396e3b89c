// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace ra::model {

struct SamplerOptions {
  double temperature = 0;  // 0 = greedy: the highest logit, ties to the lower id
  std::uint64_t seed = 1;
};

// Next token from logits [vocab]; `step` keys the random stream, so a run repeats from its seed.
// Throws Error{kBadData} if a logit is NaN or none is finite.
std::int32_t sample(std::span<const float> logits, const SamplerOptions& options,
                    std::uint64_t step);

// -ln softmax(logits)[id], in f64.
double nll(std::span<const float> logits, std::int32_t id);

}  // namespace ra::model
