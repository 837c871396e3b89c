// SPDX-License-Identifier: Apache-2.0
#include "lib/index/scores.h"

#include "kernels/ops.h"

namespace ra::index {

float dot(const float* a, const float* b, std::size_t n) { return kernels::ops().dot(a, b, n); }

void score_block(MatView<const float> queries, MatView<const float> rows, std::size_t first,
                 std::size_t count, float* out, std::size_t out_stride) {
  const auto product = kernels::ops().dot;
  for (std::size_t j = 0; j < count; ++j)
    for (std::size_t r = 0; r < queries.rows; ++r)
      out[r * out_stride + j] = product(queries.row(r), rows.row(first + j), rows.cols);
}

void score_ids(const float* query, MatView<const float> rows, std::span<const std::uint32_t> ids,
               float* out) {
  const auto product = kernels::ops().dot;
  for (std::size_t j = 0; j < ids.size(); ++j) out[j] = product(query, rows.row(ids[j]), rows.cols);
}

}  // namespace ra::index
