// SPDX-License-Identifier: Apache-2.0
// Best-first beam search by inner product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/index/graph.h"
#include "lib/index/vector_index.h"
#include "lib/index/visited_set.h"

namespace ra::index {

struct BeamScratch final : SearchScratch {
  struct Node {
    float score;
    std::uint32_t id;
    bool expanded;
  };
  VisitedSet visited;
  std::vector<Node> pool;  // best nodes seen so far, best first
  std::vector<std::uint32_t> batch;
  std::vector<float> scores;
};

struct BeamParams {
  std::size_t beam = 100;  // a node is expanded only while it is among the best `beam`
  std::size_t keep = 100;  // nodes in the pool at the end, at least `beam`
};

struct BeamCounts {
  std::int64_t distances = 0, hops = 0;
};

// Leaves the best nodes seen in scratch.pool, ties to the smaller id. Every reachable node is seen
// if beam >= graph.size(). `expanded`, if given, receives all expanded nodes in order.
BeamCounts beam_search(const Graph& graph, MatView<const float> vectors, const float* query,
                       std::span<const std::uint32_t> entries, const BeamParams& params,
                       BeamScratch& scratch, std::vector<Hit>* expanded = nullptr);

}  // namespace ra::index
