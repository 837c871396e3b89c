// SPDX-License-Identifier: Apache-2.0
// Rotary frequencies (RoFormer, arXiv 2104.09864) and their extension to longer contexts. Only the
// tables are made here; Backend::rope turns the vectors.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/config.h"

namespace ra::model {

struct RotaryFrequencies {
  std::vector<double> inv_freq;  // [rotary_dims / 2]: pair i turns by pos * inv_freq[i] radians
  float magnitude = 1;           // multiplies cos and sin
};

// none     base^(-2i / rotary_dims)
// linear   divided by the factor (position interpolation, arXiv 2306.15595)
// yarn     arXiv 2309.00071: pairs that turn at least 32 times over the original context keep their
//          frequency, those that turn less than once are divided by the factor. The ramp between is
//          linear in i, as transformers and llama.cpp have it (the paper's is linear in the turns).
//          magnitude 0.1 ln(factor) + 1
// llama3   divided by `divisors` [rotary_dims / 2], the file's rope_freqs.weight
// Requires: rotary_dims even; yarn: factor >= 1 and scaling.original_context > 0.
RotaryFrequencies rotary_frequencies(double base, int rotary_dims, const RopeScaling& scaling,
                                     std::span<const float> divisors = {});

// Names in files: "interleaved", "half", "none"; and the scaling as JSON {type: "none" | "linear" |
// "yarn" | "llama3", factor, original_context (null if not known), rotary_dims}.
std::string_view name_of(RopeStyle style);
std::string rope_scaling_json(const Config& config);

}  // namespace ra::model
