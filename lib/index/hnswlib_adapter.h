// SPDX-License-Identifier: Apache-2.0
// A second ordinary graph to compare with, from hnswlib. A row of the index table; none if hnswlib
// was not found at configure time.
#pragma once

#include <span>

#include "lib/index/registry.h"

namespace ra::index {

std::span<const IndexType> hnswlib_index_types();

}  // namespace ra::index
