// SPDX-License-Identifier: Apache-2.0
// Where to enter a graph for a query: the best keys of the training queries like it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/build_clock.h"
#include "lib/index/knn_table.h"

namespace ra::index {

struct SeedOptions {
  std::size_t centres = 32;  // clusters of training queries
  std::size_t keys = 32;     // exact best keys of each centre
  std::uint64_t seed = 1, stream = 0;
};

class QuerySeeds {
 public:
  QuerySeeds() = default;
  // Clusters the directions of `queries` [m, dim] (k-means); keys [n, dim]. No queries: no centres.
  QuerySeeds(MatView<const float> keys, MatView<const float> queries, const SeedOptions& o,
             BuildClock& clock, std::int64_t& distances);

  std::size_t centres() const { return centres_.rows(); }
  // The best key of each centre, without repetition.
  std::vector<std::uint32_t> hubs() const;
  // Appends the keys of the `nearest` centres of highest cosine, the nearest first. Costs centres()
  // inner products. scores [centres()] is for its use.
  void add(const float* query, std::size_t nearest, std::vector<float>& scores,
           std::vector<std::uint32_t>& out) const;
  std::size_t bytes() const { return centres_.bytes() + best_.ids.size() * sizeof(best_.ids[0]); }

 private:
  Matrix<float> centres_;  // [centres, dim], unit length
  KnnTable best_;          // of each centre
};

}  // namespace ra::index
