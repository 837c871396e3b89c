// SPDX-License-Identifier: Apache-2.0
// Neighbour graphs in the metric of the training queries, one for each head of a group, entered
// where the last queries of the head ended; the beam of a head is what its own held-out training
// queries needed.
#pragma once

#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> qgraph_params();
std::unique_ptr<VectorIndex> build_qgraph(const BuildInput& in, const ParamReader& params);

}  // namespace ra::index
