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

CellLevel describe(MatView<const float> x, std::span<const std::uint32_t> cell_of,
                   std::vector<std::uint32_t> begin, double unit) {
  const std::size_t cells = begin.size() - 1;
  const auto sums = scatter(x, means_of(x, cell_of, cells), cell_of);
  std::vector<std::uint32_t> count(cells);
  for (const std::uint32_t c : cell_of) ++count[c];
  CellLevel level{std::move(begin), {}};
  for (std::size_t c = 0; c < cells; ++c)
    level.spread.push_back(unit > 0 ? static_cast<float>(std::sqrt(sums[c] / count[c]) / unit)
                                    : 0.0f);
  return level;
}

}  // namespace

Cells build_cells(MatView<const float> x, const CellOptions& o, BuildClock& clock,
                  std::int64_t& distances) {
  RA_CHECK(x.rows > 0);
  Clustering fine = kmeans(x,
                           {.cells = o.cells,
                            .iterations = o.iterations,
                            .seed = o.seed,
                            .stream = o.stream,
                            .search = o.search},
                           clock, distances);
  cut_large(x, kCap * ((x.rows + fine.cells - 1) / fine.cells), fine);
  const Matrix<float> centres = means_of(x, fine.cell_of, fine.cells);
  const Clustering coarse = kmeans(centres.view(),
                                   {.cells = o.tops,
                                    .iterations = o.iterations,
                                    .seed = o.seed,
                                    .stream = ~o.stream,
                                    .search = o.search},
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
          .top = describe(x, top_of, by_top.begin, unit),
          .cell = describe(x, cell_of, by_cell.begin, unit)};
}

// A cell of more than `kCap` means is cut into parts of at most that: of `asked` means of keys
// there are no more than asked / kCap such parts beside the first ones.
std::size_t most_cells(std::size_t asked) { return asked + asked / kCap + 1; }

Matrix<float> cell_means(MatView<const float> keys, std::span<const std::uint32_t> order,
                         std::span<const std::uint32_t> begin) {
  Matrix<float> mean(begin.size() - 1, keys.cols);
  for (std::size_t c = 0; c < mean.rows(); ++c) {
    for (std::uint32_t row = begin[c]; row < begin[c + 1]; ++row)
      for (std::size_t j = 0; j < keys.cols; ++j) mean.row(c)[j] += keys.row(order[row])[j];
    for (std::size_t j = 0; j < keys.cols; ++j)
      mean.row(c)[j] /= static_cast<float>(begin[c + 1] - begin[c]);
  }
  return mean;
}

}  // namespace ra::index
