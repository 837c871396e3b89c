// SPDX-License-Identifier: Apache-2.0
// Directed graph over the keys, packed for search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/index/vector_index.h"

namespace ra::index {

using LinkLists =
    std::vector<std::vector<std::uint32_t>>;  // out-links of each node, while building

class Graph {
 public:
  Graph() : offsets_(1, 0) {}
  explicit Graph(const LinkLists& links);

  std::size_t size() const { return offsets_.size() - 1; }
  std::span<const std::uint32_t> links(std::uint32_t node) const {
    return {links_.data() + offsets_[node], links_.data() + offsets_[node + 1]};
  }
  std::size_t link_count() const { return links_.size(); }
  std::size_t max_degree() const;
  std::size_t bytes() const { return bytes_of(size(), link_count()); }
  static std::size_t bytes_of(std::size_t nodes, std::size_t links) {
    return (nodes + 1) * sizeof(std::uint64_t) + links * sizeof(std::uint32_t);
  }

 private:
  std::vector<std::uint64_t> offsets_;  // [n + 1]
  std::vector<std::uint32_t> links_;
};

// In-links of each node, sources ascending.
LinkLists reversed(const LinkLists& links);

// reached[node] != 0 if a path leads from one of `entries` to the node.
std::vector<std::uint8_t> reachable_from(const Graph& graph,
                                         std::span<const std::uint32_t> entries);

// Sets what `stats` says of a graph: its degrees, and the share of nodes that `entries` reach.
void describe_graph(const Graph& graph, std::span<const std::uint32_t> entries, BuildStats& stats);

}  // namespace ra::index
