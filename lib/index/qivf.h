// SPDX-License-Identifier: Apache-2.0
// Clusters in the query metric, two levels deep, their keys in lists that the heads of a group
// share. A search opens the most promising top cells, then the most promising of their cells, ranks
// the keys of these by their codes, and scores the best exactly.
//
// Keys are learnt segment by segment, each alone and by the queries of its own positions, so an
// index can be built while a prefill goes on and grow while decoding does (as in RetroInfer,
// arXiv 2505.02922).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/index_state.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> qivf_params();
bool qivf_for_group(const ParamReader& params);  // with codes
bool qivf_by_share(
    const ParamReader& params);  // with codes, and cells that promise more than their means
std::size_t qivf_bytes(const KeyShape& shape, const ParamReader& params);
// Keys of the piece that begins at key `first`: `segment` of them up to four times as many, then
// four times, from sixteen times on eight times as many, kMostSegmentKeys at most. Each piece costs
// a search its own top cells and encoded queries.
std::size_t qivf_segment(const ParamReader& params, std::size_t first);
std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params);
std::unique_ptr<VectorIndex> restore_qivf(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state);

}  // namespace ra::index
