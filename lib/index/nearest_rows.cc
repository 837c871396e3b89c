// SPDX-License-Identifier: Apache-2.0
#include "lib/index/nearest_rows.h"

#include <algorithm>
#include <vector>

#include "lib/core/error.h"
#include "lib/index/best_rows.h"
#include "lib/index/scores.h"

namespace ra::index {

LinkLists nearest_rows(MatView<const float> x, MatView<const float> among, std::size_t m,
                       BuildClock& clock, std::int64_t& distances, RowSearch* search) {
  RA_CHECK(m > 0 && x.cols == among.cols);
  std::vector<float> bias(among.rows);  // the best x_i.x_j - |x_j|^2 / 2 is the nearest
  for (std::size_t j = 0; j < among.rows; ++j)
    bias[j] = -0.5f * dot(among.row(j), among.row(j), x.cols);
  LinkLists links(x.rows);
  distances += static_cast<std::int64_t>(x.rows * among.rows);
  if (RowSearch::takes(search, m)) {
    const std::size_t found = std::min(m, among.rows);
    std::vector<std::uint32_t> ids(x.rows * found);
    std::vector<float> scores(ids.size());
    search->best_rows(x, among, bias.data(), m, ids.data(), scores.data());
    for (std::size_t i = 0; i < x.rows; ++i)
      links[i].assign(ids.begin() + static_cast<std::ptrdiff_t>(i * found),
                      ids.begin() + static_cast<std::ptrdiff_t>((i + 1) * found));
    return links;
  }
  clock.parallel(x.rows, BestRows::kTile, [&](std::size_t first, std::size_t last) {
    BestRows best;
    best.reset(x.row_range(first, last - first), m, true);
    // Rows near in position are often near in space: begin there, and few of the rest enter.
    const std::size_t own = first * among.rows / x.rows;
    best.offer(among.row_range(own, among.rows - own), bias.data() + own,
               static_cast<std::uint32_t>(own));
    best.offer(among.row_range(0, own), bias.data(), 0);
    for (std::size_t i = first; i < last; ++i)
      for (const Hit& hit : best.of(i - first).ranked()) links[i].push_back(hit.id);
  });
  return links;
}

}  // namespace ra::index
