// SPDX-License-Identifier: Apache-2.0
// One point of a recall curve: an index at one effort, over the test queries of one head or of the
// heads of a group.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/bench/results.h"
#include "lib/index/vector_index.h"
#include "lib/stats/attention_mass.h"
#include "lib/stats/exact_attention.h"

namespace ra::recall {

// The queries of one head and their exact answers.
struct Judged {
  const stats::HeadData& head;
  const stats::ExactReference& exact;
  std::span<const std::uint32_t> self;               // k_to_k: row of K that query i is; else empty
  std::span<const stats::AttentionLoss> exact_loss;  // [m] what attention over the exact top k
                                                     // loses; empty: it has no meaning here
  std::uint32_t train_set = 0;                       // of BuildInput::train: that of this head
};

struct EvaluateOptions {
  // Every head is given what the index has for any of a call (VectorIndex::shortlist): k and more.
  bool together = false;
  bool timed = true;  // one thread, each call timed; else the queries run side by side, untimed
  std::uint64_t seed = 1;
};

// Searches position by position: query i of all `heads` in one call, which an index may serve with
// one pass over what they share. All heads have equally many queries of the same keys. Returns a
// `recall` record for each head with metrics, samples and ci95; the caller adds config. Work and
// time of a call are divided evenly among its heads. A timed run warms up with a few queries; what
// is measured starts with a new scratch. Untimed queries run side by side unless the index is
// sequential.
std::vector<bench::Result> evaluate(const index::VectorIndex& index,
                                    const index::SearchParams& params,
                                    std::span<const Judged> heads, const EvaluateOptions& o);

// exact_loss of these queries.
std::vector<stats::AttentionLoss> losses_of_exact(const stats::HeadData& head,
                                                  const stats::ExactReference& exact);

}  // namespace ra::recall
