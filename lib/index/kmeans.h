// SPDX-License-Identifier: Apache-2.0
// Lloyd's k-means on matrix products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/types.h"
#include "lib/index/build_clock.h"
#include "lib/index/row_search.h"

namespace ra::index {

struct KmeansOptions {
  std::size_t cells = 1;
  int iterations = 6;
  std::uint64_t seed = 1, stream = 0;
  RowSearch* search = nullptr;  // finds the nearest centres; null: the threads here
};

struct Clustering {
  std::vector<std::uint32_t> cell_of;  // [n], below `cells`
  std::size_t cells = 0;               // none is empty; at most the number asked for
};

// Rows of x [n, dim] to the nearest of `cells` centres (L2). Centres start at rows drawn without
// replacement; one that loses its last row moves to the row farthest from its own centre. Distances
// are computed in bf16 at levels avx512 and amx. The same for any number of threads. Adds the inner
// products computed to `distances`.
Clustering kmeans(MatView<const float> x, const KmeansOptions& o, BuildClock& clock,
                  std::int64_t& distances);

}  // namespace ra::index
