// SPDX-License-Identifier: Apache-2.0
// What attention loses when only some keys are retrieved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/stats/exact_attention.h"

namespace ra::stats {

struct AttentionLoss {
  double mass_k = 0;         // softmax mass of the returned keys, over K alone
  double mass_all = 0;       // of S and the returned keys, over S and K
  double mass_ratio = 0;     // mass_k over that of the exact top k; 1 = no index error
  double output_rel_l2 = 0;  // |o' - o| / |o|: o over S and K, o' over S and the returned keys
  double output_cosine = 0;  // of o' and o; both NaN without values or if nothing is attended to
};

// `returned` are distinct rows of K, the answer to query `query` of `head`; `scores` their exact
// inner products.
AttentionLoss attention_loss(const HeadData& head, const ExactReference& exact, std::size_t query,
                             std::span<const std::uint32_t> returned,
                             std::span<const float> scores);

}  // namespace ra::stats
