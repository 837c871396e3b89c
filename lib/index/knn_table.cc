// SPDX-License-Identifier: Apache-2.0
#include "lib/index/knn_table.h"

#include <algorithm>

#include "lib/core/matrix.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {

std::vector<const float*> pick_queries(std::span<const QuerySet> train, std::size_t limit) {
  std::size_t total = 0;
  for (const QuerySet& set : train) total += set.rows.rows;
  const std::size_t wanted = limit == 0 ? total : std::min(limit, total);
  std::vector<const float*> rows;
  rows.reserve(wanted);
  std::size_t seen = 0;  // rows of earlier sets; each set gets its share of `wanted`
  for (const QuerySet& set : train) {
    const std::size_t m = set.rows.rows;
    const std::size_t take = (seen + m) * wanted / std::max<std::size_t>(total, 1) - rows.size();
    for (std::size_t i = 0; i < take; ++i)
      rows.push_back(set.rows.row((2 * i + 1) * m / (2 * take)));
    seen += m;
  }
  return rows;
}

KnnTable exact_knn(MatView<const float> keys, std::span<const float* const> queries, std::size_t k,
                   BuildClock& clock) {
  // A tile of scores (16 x 512 floats, 32 KiB) stays in cache between scoring and selection.
  constexpr std::size_t kQueries = 16, kKeys = 512;
  KnnTable table{.queries = queries.size(), .k = std::min(k, keys.rows), .ids = {}};
  table.ids.resize(table.queries * table.k);
  clock.parallel(queries.size(), kQueries, [&](std::size_t first, std::size_t last) {
    const std::size_t rows = last - first;
    Matrix<float> block(rows, keys.cols), scores(rows, kKeys);
    for (std::size_t r = 0; r < rows; ++r) std::copy_n(queries[first + r], keys.cols, block.row(r));
    std::vector<TopK> best(rows);
    for (TopK& b : best) b.reset(table.k);
    for (std::size_t j = 0; j < keys.rows; j += kKeys) {
      const std::size_t count = std::min(kKeys, keys.rows - j);
      score_block(block.view(), keys, j, count, scores.data(), kKeys);
      for (std::size_t r = 0; r < rows; ++r)
        best[r].push_range(scores.row(r), count, static_cast<std::uint32_t>(j));
    }
    std::vector<Hit> hits;
    for (std::size_t r = 0; r < rows; ++r) {
      best[r].finish(hits);
      std::transform(hits.begin(), hits.end(),
                     table.ids.begin() + static_cast<std::ptrdiff_t>((first + r) * table.k),
                     [](const Hit& hit) { return hit.id; });
    }
  });
  return table;
}

}  // namespace ra::index
