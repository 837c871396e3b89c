// SPDX-License-Identifier: Apache-2.0
// Stands in for hnswlib_adapter.cc in a build without hnswlib.
#include "lib/index/hnswlib_adapter.h"

namespace ra::index {

std::span<const IndexType> hnswlib_index_types() { return {}; }

}  // namespace ra::index
