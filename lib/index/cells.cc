// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>
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
  std::size_t count() const { return begin.size() - 1; }
  std::span<std::uint32_t> of(std::size_t g) {
    return std::span(members).subspan(begin[g], begin[g + 1] - begin[g]);
  }
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
  for (std::size_t i = 0; i < x.rows; ++i)
    sum[group_of[i]] +=
        static_cast<double>(squared_distance(x.row(i), mean.row(group_of[i]), x.cols));
  return sum;
}

// Sorts `rows` of x by how far they lie from `from` towards `to`; `along` is [x.rows].
void sort_along(MatView<const float> x, const float* from, const float* to,
                std::span<std::uint32_t> rows, std::vector<float>& along) {
  std::vector<float> way(x.cols);
  for (std::size_t j = 0; j < x.cols; ++j) way[j] = to[j] - from[j];
  for (const std::uint32_t i : rows) {
    const float at = dot(way.data(), x.row(i), x.cols);
    along[i] = std::isnan(at) ? -std::numeric_limits<float>::infinity() : at;
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return along[a] < along[b]; });
}

// Cuts cells with more than `cap` rows along the direction of their farthest row.
void cut_large(MatView<const float> x, std::size_t cap, Clustering& c) {
  const Matrix<float> mean = means_of(x, c.cell_of, c.cells);
  Groups groups = group_by(c.cell_of, c.cells);
  std::vector<float> along(x.rows);
  for (std::size_t cell = 0; cell < groups.count(); ++cell) {
    const std::span<std::uint32_t> rows = groups.of(cell);
    if (rows.size() <= cap) continue;
    float most = -1;
    const float* farthest = mean.row(cell);
    for (const std::uint32_t i : rows) {
      const float d2 = squared_distance(x.row(i), mean.row(cell), x.cols);
      if (d2 <= most) continue;
      most = d2;
      farthest = x.row(i);
    }
    sort_along(x, mean.row(cell), farthest, rows, along);
    const std::size_t parts = (rows.size() + cap - 1) / cap;
    for (std::size_t p = 1; p < parts; ++p) {
      for (std::size_t i = p * rows.size() / parts; i < (p + 1) * rows.size() / parts; ++i)
        c.cell_of[rows[i]] = static_cast<std::uint32_t>(c.cells);
      ++c.cells;
    }
  }
}

// Puts `members`, rows of x, one after another: each is the nearest of those left to the one before
// it, the first one the nearest to `from`. Returns the last row.
const float* chain(MatView<const float> x, const float* from, std::span<std::uint32_t> members) {
  for (std::size_t i = 0; i < members.size(); from = x.row(members[i++])) {
    float least = std::numeric_limits<float>::infinity();
    std::size_t nearest = i;
    for (std::size_t j = i; j < members.size(); ++j) {
      const float d2 = squared_distance(from, x.row(members[j]), x.cols);
      if (d2 >= least) continue;
      least = d2;
      nearest = j;
    }
    std::swap(members[i], members[nearest]);
  }
  return from;
}

// The cells of each top one after another, near ones near each other: tops are renamed so.
Groups cells_in_turn(const Matrix<float>& centres, Clustering& tops) {
  const Matrix<float> means = means_of(centres.view(), tops.cell_of, tops.cells);
  std::vector<std::uint32_t> turn(tops.cells), place(tops.cells);
  std::iota(turn.begin(), turn.end(), 0u);
  chain(means.view(), means.row(0), turn);
  for (std::size_t t = 0; t < tops.cells; ++t) place[turn[t]] = static_cast<std::uint32_t>(t);
  for (std::uint32_t& t : tops.cell_of) t = place[t];
  Groups cells = group_by(tops.cell_of, tops.cells);
  const float* last = centres.row(cells.members.front());
  for (std::size_t t = 0; t < tops.cells; ++t) last = chain(centres.view(), last, cells.of(t));
  return cells;
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
  Clustering coarse = kmeans(centres.view(),
                             {.cells = o.tops,
                              .iterations = o.iterations,
                              .seed = o.seed,
                              .stream = ~o.stream,
                              .search = o.search},
                             clock, distances);

  // Cells are renamed in their turn. Rows follow their cells and lie in each of them as on the way
  // from the cell before to the next one: a block of rows that two cells share holds what is near
  // both.
  const Groups by_top = cells_in_turn(centres, coarse);
  std::vector<std::uint32_t> place(fine.cells);
  for (std::size_t i = 0; i < fine.cells; ++i)
    place[by_top.members[i]] = static_cast<std::uint32_t>(i);
  std::vector<std::uint32_t> cell_of(x.rows), top_of(x.rows);
  for (std::size_t i = 0; i < x.rows; ++i) {
    cell_of[i] = place[fine.cell_of[i]];
    top_of[i] = coarse.cell_of[fine.cell_of[i]];
  }
  Groups by_cell = group_by(cell_of, fine.cells);
  std::vector<float> along(x.rows);
  const auto centre = [&](std::size_t c) { return centres.row(by_top.members[c]); };
  for (std::size_t c = 0; c < fine.cells; ++c)
    sort_along(x, centre(c > 0 ? c - 1 : c), centre(std::min(c + 1, fine.cells - 1)), by_cell.of(c),
               along);

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
