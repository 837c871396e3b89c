// SPDX-License-Identifier: Apache-2.0
// What every index does with its keys and its queries: copy rows, check shapes.
#pragma once

#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

Matrix<float> copy_rows(MatView<const float> rows);

// The shapes that VectorIndex::search promises to its implementations; a breach aborts.
void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits);

}  // namespace ra::index
