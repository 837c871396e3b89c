// SPDX-License-Identifier: Apache-2.0
// Neighbour graphs in the metric of the training queries, one for each head of a group, entered
// where the last queries of the head ended. Of a beam's width decides what one more hit is worth:
// with the queries held out of the build each head learns which beam finds hits at that price.
#pragma once

#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/index_state.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> qgraph_params();
std::size_t qgraph_bytes(const KeyShape& shape, const ParamReader& params);
std::unique_ptr<VectorIndex> build_qgraph(const BuildInput& in, const ParamReader& params);
std::unique_ptr<VectorIndex> restore_qgraph(const BuildInput& in, const ParamReader& params,
                                            const IndexState& state);

}  // namespace ra::index
