// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/exact_topk.h"

#include <algorithm>

#include "kernels/cuda/elementwise.h"

namespace ra::cuda {

MatView<float> ScoreTiles::score(MatView<const float> queries, MatView<const float> keys) {
  tile_.reserve_discard(queries.rows * keys.rows);
  const MatView<float> out(tile_.data(), queries.rows, keys.rows);
  gemm_.multiply(keys, queries, out);
  return out;
}

void ScoreTiles::best_keys(MatView<const float> queries, MatView<const float> keys,
                           const float* bias, std::size_t k, std::uint32_t* ids, float* scores) {
  k = std::min(k, keys.rows);
  if (k == 0) return;
  const std::size_t width = 2 * k;
  ids_.reserve_discard(kQueries * width);
  scores_.reserve_discard(kQueries * width);
  for (std::size_t q = 0; q < queries.rows; q += kQueries) {
    const std::size_t rows = std::min(kQueries, queries.rows - q);
    std::size_t kept = 0;  // of each query: results of the tiles before
    for (std::size_t first = 0; first < keys.rows; first += kKeys) {
      const std::size_t n = std::min(kKeys, keys.rows - first), found = std::min(k, n);
      const MatView<float> tile = score(queries.row_range(q, rows), keys.row_range(first, n));
      if (bias != nullptr)
        add(stream_.get(), {bias + first, 0, tile.data, tile.stride, rows, n, /*add=*/true});
      // Behind those that are kept; into the output where there are none.
      std::uint32_t* to_ids = kept == 0 ? ids + q * k : ids_.data() + kept;
      float* to_scores = kept == 0 ? scores + q * k : scores_.data() + kept;
      topk(stream_.get(), {.scores = tile.data,
                           .score_stride = tile.stride,
                           .first_id = static_cast<std::uint32_t>(first),
                           .rows = rows,
                           .n = n,
                           .k = found,
                           .out_ids = to_ids,
                           .out_scores = to_scores,
                           .out_stride = kept == 0 ? k : width});
      if (kept > 0) {
        stream_.copy_rows(ids_.data(), width, ids + q * k, k, kept, rows);
        stream_.copy_rows(scores_.data(), width, scores + q * k, k, kept, rows);
        topk(stream_.get(), {.scores = scores_.data(),
                             .score_stride = width,
                             .ids = ids_.data(),
                             .rows = rows,
                             .n = kept + found,
                             .k = k,
                             .out_ids = ids + q * k,
                             .out_scores = scores + q * k,
                             .out_stride = k});
      }
      kept = std::min(k, kept + found);
    }
  }
}

void ScoreTiles::best_centres(MatView<const float> x, MatView<const float> centres,
                              const float* bias, std::uint32_t* ids, float* scores) {
  const std::size_t most =
      std::max<std::size_t>(1, kQueries * kKeys / std::max<std::size_t>(1, centres.rows));
  for (std::size_t first = 0; first < x.rows; first += most) {
    const std::size_t rows = std::min(most, x.rows - first);
    const MatView<float> tile = score(x.row_range(first, rows), centres);
    best_column(stream_.get(),
                {tile.data, tile.stride, bias, rows, centres.rows, ids + first, scores + first});
  }
}

}  // namespace ra::cuda
