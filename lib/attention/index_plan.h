// SPDX-License-Identifier: Apache-2.0
// What the indexes of a policy will take, before there are any keys: for a memory plan.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/attention/sparse.h"

namespace ra::attention {

struct IndexPlan {
  std::size_t bytes = 0;     // IndexTotals::bytes, at most (index::index_bytes)
  std::size_t building = 0;  // beside them while they are built, about
  std::size_t lists = 0;  // before that, while the prefill goes on: best keys of training queries
};
// For `keys` positions of every layer outside the static set, in a cache of that type, and so many
// training queries of a head that are harvested (harvest.h). Nothing without an index.
IndexPlan plan_indexes(const AttentionShape& shape, const SparseOptions& options, std::int64_t keys,
                       model::KvType type, std::int64_t harvested = 0);

}  // namespace ra::attention
