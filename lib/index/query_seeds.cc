// SPDX-License-Identifier: Apache-2.0
#include "lib/index/query_seeds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/index/kmeans.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

void scale_to_unit(float* v, std::size_t dim) {
  const float norm = std::sqrt(dot(v, v, dim));
  for (std::size_t j = 0; norm > 0 && j < dim; ++j) v[j] /= norm;
}

}  // namespace

QuerySeeds::QuerySeeds(MatView<const float> keys, MatView<const float> queries,
                       const SeedOptions& o, BuildClock& clock, std::int64_t& distances) {
  if (queries.rows == 0 || o.centres == 0) return;
  const std::size_t dim = queries.cols;
  Matrix<float> unit(queries.rows, dim);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    std::copy_n(queries.row(i), dim, unit.row(i));
    scale_to_unit(unit.row(i), dim);
  }
  const Clustering found =
      kmeans(unit.view(), {.cells = o.centres, .iterations = 6, .seed = o.seed, .stream = o.stream},
             clock, distances);
  centres_ = Matrix<float>(found.cells, dim);
  for (std::size_t i = 0; i < unit.rows(); ++i)
    for (std::size_t j = 0; j < dim; ++j) centres_.row(found.cell_of[i])[j] += unit.row(i)[j];
  std::vector<const float*> rows;
  for (std::size_t c = 0; c < found.cells; ++c) {
    scale_to_unit(centres_.row(c), dim);
    rows.push_back(centres_.row(c));
  }
  best_ = exact_knn(keys, rows, o.keys, clock);
  distances += static_cast<std::int64_t>(rows.size() * keys.rows);
}

std::vector<std::uint32_t> QuerySeeds::hubs() const {
  std::vector<std::uint32_t> out;
  for (std::size_t c = 0; c < centres(); ++c) out.push_back(best_.row(c).front());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void QuerySeeds::add(const float* query, std::size_t nearest, std::vector<float>& scores,
                     std::vector<std::uint32_t>& out) const {
  if (centres() == 0) return;
  scores.resize(centres());
  score_block({query, 1, centres_.cols()}, centres_.view(), 0, centres(), scores.data(), centres());
  for (std::size_t i = 0; i < std::min(nearest, centres()); ++i) {
    const auto best = std::max_element(scores.begin(), scores.end());
    const auto ids = best_.row(static_cast<std::size_t>(best - scores.begin()));
    out.insert(out.end(), ids.begin(), ids.end());
    *best = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace ra::index
