// SPDX-License-Identifier: Apache-2.0
// The exact best keys of the training queries, gathered while a prefill goes on: what a graph over
// queries and keys is built from (RoarGraph, arXiv 2408.08933, section 4.1) is then there when the
// prompt is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/attention/training.h"
#include "lib/index/build_clock.h"
#include "lib/index/knn_table.h"
#include "lib/model/kv_cache.h"

namespace ra::attention {

class Harvest {
 public:
  // The k best for each query of `group` heads a KV head, in these layers.
  Harvest(std::vector<int> layers, int kv_heads, int group, std::size_t k);

  // Keys at positions [sink, end) that are new are offered to the queries there are, and to new
  // queries, of all positions that `cache` holds, all keys: a query goes on until the last key.
  // Each call has the same sink and no smaller end. Adds the inner products computed to
  // `distances`. The same lists for any chunks and any number of threads. The inner products are
  // those of `search` if there is one.
  void gather(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
              const QueriesOf& queries, index::BuildClock& clock, std::int64_t& distances,
              index::RowSearch* search = nullptr);

  // True if the lists are of exactly these keys.
  bool of(std::int64_t sink, std::int64_t end) const { return sink_ == sink && end_ == end; }
  // What index::exact_knn gives for the queries of these heads of the layer of that number, in
  // order, ids counted from `sink`. The lists are given away.
  index::KnnTable take(std::size_t layer, int first_head, int heads);

  static std::size_t bytes_of(std::size_t queries, std::size_t k);

 private:
  using List = std::vector<index::Hit>;  // at most k, in any order

  std::vector<int> layers_;
  std::size_t kv_heads_, group_, k_;
  std::int64_t sink_ = 0, end_ = 0;
  std::vector<std::vector<List>> lists_;  // [layer, head] of each query
};

}  // namespace ra::attention
