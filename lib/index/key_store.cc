// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <algorithm>

#include "lib/core/error.h"

namespace ra::index {

Matrix<float> copy_rows(MatView<const float> rows) {
  Matrix<float> out(rows.rows, rows.cols);
  for (std::size_t i = 0; i < rows.rows; ++i) std::copy_n(rows.row(i), rows.cols, out.row(i));
  return out;
}

void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits) {
  RA_CHECK(queries.rows == 0 || queries.cols == dim);
  RA_CHECK(hits.size() >= queries.rows);
  RA_CHECK(p.k >= 0 && p.effort >= 0);
}

}  // namespace ra::index
