// SPDX-License-Identifier: Apache-2.0
// Clusters in the query metric, two levels deep, their keys in contiguous lists that the heads of a
// group share. A search opens the most promising top cells, then the most promising of their cells,
// and scores the keys of these exactly; or first by low-rank codes, and only the best exactly.
#pragma once

#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> qivf_params();
std::unique_ptr<VectorIndex> build_qivf(const BuildInput& in, const ParamReader& params);

}  // namespace ra::index
