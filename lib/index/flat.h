// SPDX-License-Identifier: Apache-2.0
// Exact scan of all keys. A query group reads each key once. The ground truth of every other index.
#pragma once

#include <memory>

#include "lib/core/params.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::unique_ptr<VectorIndex> build_flat(const BuildInput& in, const ParamReader& params);

}  // namespace ra::index
