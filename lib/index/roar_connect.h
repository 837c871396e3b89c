// SPDX-License-Identifier: Apache-2.0
// Connectivity enhancement of a projected graph (RoarGraph, arXiv 2408.08933, section 4.3), the
// entry points of its search, and the repair of what is still out of reach.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/graph.h"
#include "lib/index/knn_table.h"

namespace ra::index {

// The key nearest (L2) to the mean of `x` among those with links (any, if none has): a search that
// starts at a key without links ends there.
std::uint32_t central_key(MatView<const float> x, const LinkLists& links);

// Up to `count` keys such that the lists of as many queries as possible hold one of them (greedy
// set cover): a search from them starts inside the answer of most queries.
std::vector<std::uint32_t> hub_keys(const KnnTable& table, std::size_t keys, std::size_t count);

struct ConnectParams {
  std::size_t m = 35;      // links added to a key
  std::size_t beam = 500;  // width of the search for each key
  // Keys are searched for in this many batches of a random order, each in the graph that the
  // earlier ones left. 1 = all in the projected graph, as published: keys that no query's list
  // holds then link only to keys of such lists, never to each other.
  std::size_t batches = 16;
  std::uint64_t seed = 1;
};

// Searches every key from `entries` in the graph as it was before this stage, so the order of the
// keys and the number of threads do not matter, and links it to what the search expanded.
void connect(MatView<const float> x, std::span<const std::uint32_t> entries,
             const ConnectParams& params, LinkLists& links, BuildClock& clock,
             std::int64_t& distances);

// Gives each key that no path from `entries` reaches a link from the nearest key that a narrow
// search finds.
void repair(MatView<const float> x, std::span<const std::uint32_t> entries, LinkLists& links,
            std::int64_t& distances);

}  // namespace ra::index
