// SPDX-License-Identifier: Apache-2.0
#include "lib/index/knn_table.h"

#include <algorithm>

#include "lib/core/matrix.h"
#include "lib/index/best_rows.h"
#include "lib/index/key_store.h"

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
                   BuildClock& clock, RowSearch* search) {
  constexpr std::size_t kTile = 256;
  KnnTable table{.queries = queries.size(), .k = std::min(k, keys.rows), .ids = {}};
  table.ids.resize(table.queries * table.k);
  if (RowSearch::takes(search, table.k) && !table.ids.empty()) {
    Matrix<float> all(queries.size(), keys.cols);
    for (std::size_t q = 0; q < queries.size(); ++q) std::copy_n(queries[q], keys.cols, all.row(q));
    std::vector<float> scores(table.ids.size());
    search->best_rows(all.view(), keys, nullptr, table.k, table.ids.data(), scores.data());
    return table;
  }
  const bool narrow = fits_bf16(keys);
  clock.parallel(queries.size(), kTile, [&](std::size_t first, std::size_t last) {
    Matrix<float> block(last - first, keys.cols);
    for (std::size_t q = first; q < last; ++q)
      std::copy_n(queries[q], keys.cols, block.row(q - first));
    BestRows best;
    best.reset(block.view(), table.k, narrow && fits_bf16(block.view()));
    best.offer(keys, nullptr, 0);
    for (std::size_t q = first; q < last; ++q)
      std::ranges::transform(best.of(q - first).ranked(),
                             table.ids.begin() + static_cast<std::ptrdiff_t>(q * table.k),
                             [](const Hit& hit) { return hit.id; });
  });
  return table;
}

}  // namespace ra::index
