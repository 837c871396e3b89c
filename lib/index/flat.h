// SPDX-License-Identifier: Apache-2.0
// Exact scan of all keys. A query group reads each key once. The ground truth of every other index.
// With bits=8 or 4 the scan is over codes of the keys, and only the best are scored exactly.
#pragma once

#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> flat_params();
bool flat_for_group(const ParamReader& params);  // codes are
std::size_t flat_bytes(const KeyShape& shape, const ParamReader& params);
std::unique_ptr<VectorIndex> build_flat(const BuildInput& in, const ParamReader& params);
std::unique_ptr<VectorIndex> restore_flat(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state);

}  // namespace ra::index
