// SPDX-License-Identifier: Apache-2.0
// What a forward pass must read and multiply, from the shapes alone: the numerators of a roofline.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/model/config.h"
#include "lib/model/weights.h"

namespace ra::model {

// Bytes of the weights that every decode step reads: all but the embedding table, of which a step
// reads a row, unless the output is tied to it.
std::size_t weight_bytes(const Weights& weights);

// Floating-point operations (2 per multiply-add) of a prefill of `tokens` positions from position
// 0: matrix products of every position with the weights, the output head once, and the two products
// of attention with the keys that each position sees.
struct PrefillFlops {
  double linear = 0, attention = 0;
  double total() const { return linear + attention; }
};
PrefillFlops prefill_flops(const Config& config, const Weights& weights, std::int64_t tokens);

}  // namespace ra::model
