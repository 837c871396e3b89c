// SPDX-License-Identifier: Apache-2.0
// Attention over a subset of the keys, and the exact log-sum-exp merge of two disjoint subsets
// (arXiv 2409.10516, section 3.3; FlashDecoding). The merge is associative up to rounding with
// identity {-inf, 0, 0}: static set, retrieved set, another device are one operation.
#pragma once

#include <cstddef>
#include <limits>

namespace ra::kernels {

struct Partial {
  float max = -std::numeric_limits<float>::infinity();  // largest logit
  float sum = 0;                                        // sum of exp(logit - max)
  float* acc = nullptr;  // [dim] sum of exp(logit - max) * v; the caller's memory, zeroed
};

// a = a joined with b over `dim` values; the key sets are disjoint. Empty parts are neutral.
void merge(Partial& a, const Partial& b, std::size_t dim) noexcept;

// out = acc / sum over `dim` values. Requires sum > 0.
void finish(const Partial& p, float* out, std::size_t dim) noexcept;

}  // namespace ra::kernels
