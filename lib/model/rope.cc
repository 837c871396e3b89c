// SPDX-License-Identifier: Apache-2.0
#include "lib/model/rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "lib/core/error.h"
#include "lib/core/json.h"

namespace ra::model {
namespace {

// YaRN's alpha and beta, as published for the Llama family and used by every file seen so far.
constexpr double kBetaFast = 32, kBetaSlow = 1;

// Pair index (a real number) whose frequency makes `turns` rotations over `context` positions.
double pair_of_turns(double turns, double context, double base, int dims) {
  return dims * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

void apply_yarn(double base, int dims, const RopeScaling& scaling, RotaryFrequencies& out) {
  RA_CHECK(scaling.original_context && *scaling.original_context > 0 && scaling.factor >= 1);
  const auto context = static_cast<double>(*scaling.original_context);
  const double last = dims - 1;
  const double low =
      std::clamp(std::floor(pair_of_turns(kBetaFast, context, base, dims)), 0.0, last);
  double high = std::clamp(std::ceil(pair_of_turns(kBetaSlow, context, base, dims)), 0.0, last);
  if (low == high) high += 0.001;  // a step instead of a division by zero
  for (std::size_t i = 0; i < out.inv_freq.size(); ++i) {
    const double interpolated = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    out.inv_freq[i] *= interpolated / scaling.factor + (1 - interpolated);
  }
  out.magnitude = static_cast<float>(0.1 * std::log(scaling.factor) + 1);
}

std::string_view name_of(RopeScalingType type) {
  switch (type) {
    case RopeScalingType::kLinear:
      return "linear";
    case RopeScalingType::kYarn:
      return "yarn";
    case RopeScalingType::kLlama3:
      return "llama3";
    case RopeScalingType::kNone:
      break;
  }
  return "none";
}

}  // namespace

std::string_view name_of(RopeStyle style) {
  switch (style) {
    case RopeStyle::kInterleaved:
      return "interleaved";
    case RopeStyle::kHalf:
      return "half";
    case RopeStyle::kNone:
      break;
  }
  return "none";
}

std::string rope_scaling_json(const Config& c) {
  const RopeScaling& s = c.rope_scaling;
  return Json{{"type", name_of(s.type)},
              {"factor", s.factor},
              {"original_context", s.original_context ? Json(*s.original_context) : Json(nullptr)},
              {"rotary_dims", c.rotary_dims}}
      .dump();
}

RotaryFrequencies rotary_frequencies(double base, int rotary_dims, const RopeScaling& scaling,
                                     std::span<const float> divisors) {
  RA_CHECK(rotary_dims % 2 == 0);
  RotaryFrequencies out;
  out.inv_freq.resize(static_cast<std::size_t>(rotary_dims / 2));
  for (std::size_t i = 0; i < out.inv_freq.size(); ++i)
    out.inv_freq[i] = std::pow(base, -2.0 * static_cast<double>(i) / rotary_dims);
  switch (scaling.type) {
    case RopeScalingType::kNone:
      break;
    case RopeScalingType::kLinear:
      for (double& f : out.inv_freq) f /= scaling.factor;
      break;
    case RopeScalingType::kYarn:
      apply_yarn(base, rotary_dims, scaling, out);
      break;
    case RopeScalingType::kLlama3:
      RA_CHECK(divisors.size() == out.inv_freq.size());
      for (std::size_t i = 0; i < divisors.size(); ++i)
        out.inv_freq[i] /= static_cast<double>(divisors[i]);
      break;
  }
  return out;
}

}  // namespace ra::model
