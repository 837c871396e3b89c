// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace ra::stats {

// Kullback-Leibler divergence KL(P || Q) in nats of two softmax distributions given by their logits
// (same length, finite), computed in f64. Never negative beyond rounding; clamped at 0.
double kl_divergence(std::span<const float> p_logits, std::span<const float> q_logits);

}  // namespace ra::stats
