// SPDX-License-Identifier: Apache-2.0
// Projection of the bipartite query-key graph onto the keys (RoarGraph, arXiv 2408.08933, section
// 4.2): keys that answer the same query become neighbours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/knn_table.h"

namespace ra::index {

struct ProjectParams {
  std::size_t m = 35;  // most links of a key
  // false: as published, a query overwrites the links of its pivot, so only the last query of each
  // pivot counts. Best keys are concentrated, so most projections are lost, and which ones depends
  // on the order of the rows. true: the lists of all queries of a pivot are joined, candidates that
  // more queries name come first, and the links are selected once.
  bool pool = true;
  std::size_t pivots = 10;     // with pool: how many of a query's best keys take its list
  std::size_t pool_cap = 500;  // with pool: candidates of one pivot, the most voted
};

// `x` are the vectors whose inner product is nearness (see occlusion.h). The result does not depend
// on the number of threads. Adds the inner products computed to `distances`.
LinkLists project(MatView<const float> x, const KnnTable& table, const ProjectParams& params,
                  BuildClock& clock, std::int64_t& distances);

// For each link a -> b tries b -> a; a list longer than `limit` is selected again from all that it
// was offered. Lists are ordered nearest first, those that `fill` gives back last.
LinkLists add_reverse_links(MatView<const float> x, const LinkLists& links, std::size_t limit,
                            bool fill, BuildClock& clock, std::int64_t& distances);

}  // namespace ra::index
