// SPDX-License-Identifier: Apache-2.0
// The attention-aware graph: RoarGraph (arXiv 2408.08933) over the keys, its links learnt from the
// training queries; with metric=query built in the metric of lib/index/query_metric.h.
#pragma once

#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> roar_params();
// IndexType::lists: only where all training queries count.
std::size_t roar_lists(const ParamReader& params);
std::size_t roar_bytes(const KeyShape& shape, const ParamReader& params);

// Needs training queries. Building takes four stages: exact best keys of each query, projection
// onto the keys, connectivity, packing. Searching compares raw q.k only, whatever the metric.
std::unique_ptr<VectorIndex> build_roar(const BuildInput& in, const ParamReader& params);
// State: degrees [n], links (those of key 0 first), entries, heads [1].
std::unique_ptr<VectorIndex> restore_roar(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state);

}  // namespace ra::index
