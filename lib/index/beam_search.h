// SPDX-License-Identifier: Apache-2.0
// Best-first beam search by inner product. A link may have to be named twice before it is followed:
// an inner product is worth more on a key that several good keys have for a neighbour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/index/graph.h"
#include "lib/index/key_store.h"
#include "lib/index/vector_index.h"
#include "lib/index/visited_set.h"

namespace ra::index {

struct BeamScratch final : SearchScratch {
  struct Node {
    float score;
    std::uint32_t id;
    bool expanded;
  };
  VisitedSet visited, named;
  std::vector<Node> pool;  // best nodes seen so far, best first
  std::vector<std::uint32_t> batch;
  std::vector<float> scores;
};

struct BeamParams {
  std::size_t beam = 100;  // a node is expanded only while it is among the best `beam`
  std::size_t keep = 100;  // nodes in the pool at the end, at least `beam`
  // Of an expanded node, the first links are followed at once, the others when an expanded node
  // names them for the second time.
  std::size_t first = std::numeric_limits<std::size_t>::max();
  std::span<const std::uint32_t> named = {};  // nodes that count as named once
  std::uint32_t below = std::numeric_limits<std::uint32_t>::max();  // only these nodes are seen
};

struct BeamCounts {
  std::int64_t distances = 0, hops = 0;
};

// Leaves the best nodes seen in scratch.pool, ties to the smaller id. Every reachable node is seen
// if beam >= graph.size() and all links are followed at once. `expanded`, if given, receives all
// expanded nodes in order.
BeamCounts beam_search(const Graph& graph, MatView<const float> vectors, const float* query,
                       std::span<const std::uint32_t> entries, const BeamParams& params,
                       BeamScratch& scratch, std::vector<Hit>* expanded = nullptr);
BeamCounts beam_search(const Graph& graph, const KeyRows& keys, const float* query,
                       std::span<const std::uint32_t> entries, const BeamParams& params,
                       BeamScratch& scratch);

}  // namespace ra::index
