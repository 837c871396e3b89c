// SPDX-License-Identifier: Apache-2.0
// The exact best keys of each training query: the query-to-key half of the bipartite graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/row_search.h"
#include "lib/index/vector_index.h"

namespace ra::index {

struct KnnTable {
  std::size_t queries = 0, k = 0;
  std::vector<std::uint32_t> ids;  // [queries, k], best first, ties to the smaller id
  std::span<const std::uint32_t> row(std::size_t q) const { return {ids.data() + q * k, k}; }
};

// Rows of all sets, in order, or an evenly spaced part of each if there are more than `limit` in
// all (0 = no limit): spread over the positions, since a contiguous part would leave late keys
// without any training query.
std::vector<const float*> pick_queries(std::span<const QuerySet> train, std::size_t limit);

// k is cut to the number of keys. Costs queries * keys inner products, in bf16 at levels avx512 and
// amx where keys and queries hold values of bf16; by `search` if there is one.
KnnTable exact_knn(MatView<const float> keys, std::span<const float* const> queries, std::size_t k,
                   BuildClock& clock, RowSearch* search = nullptr);

}  // namespace ra::index
