// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cells.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/core/error.h"
#include "lib/index/kmeans.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

constexpr std::size_t kCap = 4;  // times the mean size of a cell

// Members of each group, groups in order, members ascending.
struct Groups {
  std::vector<std::uint32_t> begin, members;
};
Groups group_by(std::span<const std::uint32_t> group_of, std::size_t groups) {
  Groups g{std::vector<std::uint32_t>(groups + 1), std::vector<std::uint32_t>(group_of.size())};
  for (const std::uint32_t c : group_of) ++g.begin[c + 1];
  std::partial_sum(g.begin.begin(), g.begin.end(), g.begin.begin());
  std::vector<std::uint32_t> next(g.begin.begin(), g.begin.end() - 1);
  for (std::size_t i = 0; i < group_of.size(); ++i)
    g.members[next[group_of[i]]++] = static_cast<std::uint32_t>(i);
  return g;
}

Matrix<float> means_of(MatView<const float> rows, std::span<const std::uint32_t> group_of,
                       std::size_t groups) {
  Matrix<float> mean(groups, rows.cols);
  std::vector<std::uint32_t> count(groups);
  for (std::size_t i = 0; i < group_of.size(); ++i) {
    ++count[group_of[i]];
    for (std::size_t j = 0; j < rows.cols; ++j) mean.row(group_of[i])[j] += rows.row(i)[j];
  }
  for (std::size_t c = 0; c < groups; ++c)
    for (std::size_t j = 0; j < rows.cols; ++j) mean.row(c)[j] /= static_cast<float>(count[c]);
  return mean;
}

// Sum over the rows of each group of the squared distance to `mean`.
std::vector<double> scatter(MatView<const float> x, const Matrix<float>& mean,
                            std::span<const std::uint32_t> group_of) {
  std::vector<double> sum(mean.rows());
  for (std::size_t i = 0; i < x.rows; ++i) {
    float d2 = 0;
    for (std::size_t j = 0; j < x.cols; ++j) {
      const float d = x.row(i)[j] - mean.row(group_of[i])[j];
      d2 += d * d;
    }
    sum[group_of[i]] += static_cast<double>(d2);
  }
  return sum;
}

// Cuts cells with more than `cap` rows along the direction of their farthest row.
void cut_large(MatView<const float> x, std::size_t cap, Clustering& c) {
  const Matrix<float> mean = means_of(x, c.cell_of, c.cells);
  const Groups groups = group_by(c.cell_of, c.cells);
  const std::size_t cells = c.cells;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    std::vector<std::uint32_t> rows(groups.members.begin() + groups.begin[cell],
                                    groups.members.begin() + groups.begin[cell + 1]);
    if (rows.size() <= cap) continue;
    std::vector<float> direction(x.cols), along(x.rows);
    float farthest = -1;
    for (const std::uint32_t i : rows) {
      float d2 = 0;
      for (std::size_t j = 0; j < x.cols; ++j) {
        const float d = x.row(i)[j] - mean.row(cell)[j];
        d2 += d * d;
      }
      if (d2 <= farthest) continue;
      farthest = d2;
      for (std::size_t j = 0; j < x.cols; ++j) direction[j] = x.row(i)[j] - mean.row(cell)[j];
    }
    for (const std::uint32_t i : rows) along[i] = dot(direction.data(), x.row(i), x.cols);
    std::stable_sort(rows.begin(), rows.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return along[a] < along[b]; });
    const std::size_t parts = (rows.size() + cap - 1) / cap;
    for (std::size_t p = 1; p < parts; ++p) {
      for (std::size_t i = p * rows.size() / parts; i < (p + 1) * rows.size() / parts; ++i)
        c.cell_of[rows[i]] = static_cast<std::uint32_t>(c.cells);
      ++c.cells;
    }
  }
}

Clustering cluster_segments(MatView<const float> x, const CellOptions& o, BuildClock& clock,
                            std::int64_t& distances) {
  Clustering all;
  const std::size_t segments = std::max<std::size_t>(1, x.rows / o.segment);
  for (std::size_t s = 0; s < segments; ++s) {
    const std::size_t first = s * x.rows / segments, last = (s + 1) * x.rows / segments;
    const std::size_t share = (s + 1) * o.cells / segments - s * o.cells / segments;
    const auto part = kmeans(x.row_range(first, last - first),
                             {.cells = std::max<std::size_t>(1, share),
                              .iterations = o.iterations,
                              .seed = o.seed,
                              .stream = s},
                             clock, distances);
    for (const std::uint32_t c : part.cell_of)
      all.cell_of.push_back(static_cast<std::uint32_t>(all.cells) + c);
    all.cells += part.cells;
  }
  cut_large(x, kCap * ((x.rows + all.cells - 1) / all.cells), all);
  return all;
}

CellLevel describe(MatView<const float> keys, MatView<const float> x,
                   std::span<const std::uint32_t> cell_of, std::vector<std::uint32_t> begin,
                   double unit) {
  const std::size_t cells = begin.size() - 1;
  const Matrix<float> raw = means_of(keys, cell_of, cells);
  CellLevel level{Matrix<bf16>(cells, keys.cols), {}, std::move(begin)};
  std::transform(raw.data(), raw.data() + cells * keys.cols, level.means.data(), to_bf16);
  const auto sums = scatter(x, means_of(x, cell_of, cells), cell_of);
  std::vector<std::uint32_t> count(cells);
  for (const std::uint32_t c : cell_of) ++count[c];
  for (std::size_t c = 0; c < cells; ++c)
    level.spread.push_back(unit > 0 ? static_cast<float>(std::sqrt(sums[c] / count[c]) / unit)
                                    : 0.0f);
  return level;
}

}  // namespace

std::size_t Cells::bytes() const {
  std::size_t sum = order.size() * sizeof(std::uint32_t);
  for (const CellLevel* level : {&top, &cell})
    sum += level->means.bytes() + level->count() * (sizeof(float) + sizeof(std::uint32_t));
  return sum;
}

Cells build_cells(MatView<const float> keys, MatView<const float> x, const CellOptions& o,
                  BuildClock& clock, std::int64_t& distances) {
  RA_CHECK(keys.rows == x.rows && keys.rows > 0 && o.segment > 0);
  const Clustering fine = cluster_segments(x, o, clock, distances);
  const Matrix<float> centres = means_of(x, fine.cell_of, fine.cells);
  const Clustering coarse =
      kmeans(centres.view(),
             {.cells = o.tops, .iterations = o.iterations, .seed = o.seed, .stream = UINT64_MAX},
             clock, distances);

  // Cells are renamed in the order of their tops, rows follow their cells.
  const Groups by_top = group_by(coarse.cell_of, coarse.cells);
  std::vector<std::uint32_t> place(fine.cells);
  for (std::size_t i = 0; i < fine.cells; ++i)
    place[by_top.members[i]] = static_cast<std::uint32_t>(i);
  std::vector<std::uint32_t> cell_of(x.rows), top_of(x.rows);
  for (std::size_t i = 0; i < x.rows; ++i) {
    cell_of[i] = place[fine.cell_of[i]];
    top_of[i] = coarse.cell_of[fine.cell_of[i]];
  }
  const Groups by_cell = group_by(cell_of, fine.cells);

  const std::vector<std::uint32_t> one(x.rows, 0);
  const Matrix<float> tops = means_of(x, top_of, coarse.cells);
  const double total = scatter(x, means_of(x, one, 1), one)[0];
  const auto within = scatter(x, tops, top_of);
  const double between =
      (total - std::accumulate(within.begin(), within.end(), 0.0)) / static_cast<double>(x.rows);
  const double unit = between > 0 ? std::sqrt(between) : 0;
  return {.order = by_cell.members,
          .top = describe(keys, x, top_of, by_top.begin, unit),
          .cell = describe(keys, x, cell_of, by_cell.begin, unit)};
}

}  // namespace ra::index
