// SPDX-License-Identifier: Apache-2.0
// recall@k of one query, by id and with ties.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/types.h"

namespace ra::stats {

// The exact answer of one query: the k best keys, best first, ties to the smaller id.
struct ExactTop {
  std::span<const std::uint32_t> ids;  // [k]
  std::span<const float> scores;       // [k] inner products
  float max_abs = 0;                   // largest |q . k| over all keys
};

struct Recall {
  double id = 0;   // |distinct returned ids, at most k, in the exact top k| / k
  double tie = 0;  // returned keys with score >= k-th exact score - 1e-6 max_abs, at most k, / k
};

// `returned` in the order of the answer, `scores` their exact inner products. A repeated id counts
// once; ids after the k-th distinct one are ignored. Requires k > 0.
Recall recall_at_k(std::span<const std::uint32_t> returned, std::span<const float> scores,
                   const ExactTop& exact);

// Inner product of one pair with f64 accumulation, rounded once: the exact score of an f32 pair.
float exact_dot(const float* a, const float* b, std::size_t n) noexcept;

}  // namespace ra::stats
