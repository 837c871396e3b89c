// SPDX-License-Identifier: Apache-2.0
// One point of a recall curve: an index at one effort, over the test queries of one head.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/bench/results.h"
#include "lib/index/vector_index.h"
#include "lib/stats/exact_attention.h"

namespace ra::recall {

struct Evaluation {
  const stats::HeadData& head;
  const stats::ExactReference& exact;   // of the same queries
  std::span<const std::uint32_t> self;  // k_to_k: row of K that query i is; else empty
  bool attention = true;                // mass and output make sense for these queries
  std::uint64_t seed = 1;
};

// Searches query by query on one thread, timing each call, after a warm-up of a few queries. Fills
// metrics, samples and ci95 of a `recall` record; the caller adds config.
bench::Result evaluate(const index::VectorIndex& index, const index::SearchParams& params,
                       const Evaluation& e);

}  // namespace ra::recall
