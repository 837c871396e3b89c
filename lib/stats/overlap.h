// SPDX-License-Identifier: Apache-2.0
// How far the keys that a query needs are those that another one needed: the query some steps
// before, that of another head, of another layer. Attention is sparse but dynamic
// (arXiv 2409.10516, section 2.3): a set that is kept loses mass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/stats/exact_attention.h"

namespace ra::stats {

// The exact top k of each query as a set. Ids are rows of K, which heads and layers share if they
// index the same positions.
class TopSets {
 public:
  explicit TopSets(const ExactReference& exact);

  std::size_t queries() const { return ids_.size() / k_; }
  std::size_t k() const { return k_; }
  std::span<const std::uint32_t> of(std::size_t query) const {  // [k], ascending
    return std::span(ids_).subspan(query * k_, k_);
  }

 private:
  std::size_t k_;
  std::vector<std::uint32_t> ids_;  // [m, k]
};

// Share of the keys of a query that stand in the set of the same query of `other`, mean over
// queries. Both have the same m and k.
double overlap(const TopSets& own, const TopSets& other);

// Distinct keys that the heads want at a query, mean over queries: k if they agree, k times their
// number if they share none. All have the same m; not empty.
double distinct_keys(std::span<const TopSets* const> heads);

// Queries that attend to another one's set. Means over queries.
struct Reuse {
  double overlap = 0;     // share of the own top k that is in the set
  double mass_ratio = 0;  // softmax mass over K of the set over that of the own top k
  double mass_all = 0;    // mass of S and the set, over S and K
};

// Query i of `head` attends to the set of query i - lag of `other`, for lag <= i < m. `exact` and
// `own` are the reference of `head` and its sets. Requires lag < m, and m and k of `other` as of
// `own`.
Reuse reuse(const HeadData& head, const ExactReference& exact, const TopSets& own,
            const TopSets& other, std::size_t lag);

}  // namespace ra::stats
