// SPDX-License-Identifier: Apache-2.0
// How many keys each query head retrieves when all heads together may retrieve so many: a head
// whose attention is spread gets more, one that needs few fewer, by what training queries gain.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/attention/train_queries.h"
#include "lib/model/kv_cache.h"

namespace ra::attention {

// Numbers of keys that a head may be given for a mean of k: from k/4 to 4k in steps of a quarter
// octave, ascending.
std::vector<int> budget_steps(int k);

// Where the keys that compete begin and end for a query at a position: [sink, position - window).
struct BudgetScope {
  std::int64_t sink = 0, window = 0;
  float scale = 1;  // of logits
};

// Mean over the queries of the attention mass that the static set and the best steps[i] of the keys
// that compete hold together, exactly. Queries see the keys up to their own position. Rises ever
// less with the number of keys. Requires m > 0.
std::vector<double> mass_curve(const kernels::KvRows& kv, const PlacedQueries& queries,
                               const BudgetScope& scope, std::span<const int> steps);

// One of `steps` for each curve, their sum at most k * curves.size(), so that the sum of the masses
// is the greatest: steps are taken where the next key adds most.
std::vector<int> share_budget(const std::vector<std::vector<double>>& curves,
                              std::span<const int> steps, int k);

}  // namespace ra::attention
