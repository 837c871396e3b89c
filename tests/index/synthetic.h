// SPDX-License-Identifier: Apache-2.0
// Small key and query sets with fixed seeds, and what tests ask of an index.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/core/rng.h"
#include "lib/index/registry.h"
#include "lib/index/top_k.h"

namespace ra::index::testing {

inline Matrix<float> gaussian(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix<float> m(rows, cols);
  Rng rng(seed);
  for (std::size_t i = 0; i < rows * cols; ++i) m.data()[i] = static_cast<float>(rng.normal());
  return m;
}

// Queries far from the keys, as in attention: the keys share a large mean and vary mostly in
// directions that queries hardly look at; queries live near a shifted low-dimensional plane.
struct OodSet {
  Matrix<float> keys, train, test;
};
inline OodSet ood_set(std::size_t n, std::size_t dim, std::size_t queries, std::uint64_t seed) {
  const std::size_t seen = dim / 4;  // dimensions that queries look at
  OodSet set{gaussian(n, dim, seed), gaussian(queries, dim, seed + 1), gaussian(50, dim, seed + 2)};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = seen; j < dim; ++j) set.keys.row(i)[j] *= 0.7f;
    set.keys.row(i)[dim - 1] += 10.0f;
  }
  for (Matrix<float>* q : {&set.train, &set.test})
    for (std::size_t i = 0; i < q->rows(); ++i)
      for (std::size_t j = 0; j < dim; ++j)
        q->row(i)[j] =
            j < seen ? 2.0f * q->row(i)[j] + (j == 0 ? 4.0f : 0.0f) : 0.1f * q->row(i)[j];
  return set;
}

inline IndexSpec spec_of(const std::string& text) {
  return check_index_spec(parse_specs(text).front());
}

inline std::unique_ptr<VectorIndex> build(const std::string& text, MatView<const float> keys,
                                          MatView<const float> train = {}) {
  BuildInput in{.keys = keys, .train = {}, .seed = 1};
  if (train.rows > 0) in.train.push_back({train});
  return build_index(spec_of(text), in);
}

struct Found {
  std::vector<std::vector<Hit>> hits;
  SearchStats stats;
};
inline Found search(const VectorIndex& index, MatView<const float> queries, int k, int effort) {
  Found found{std::vector<std::vector<Hit>>(queries.rows), {}};
  const auto scratch = index.make_scratch();
  for (std::size_t i = 0; i < queries.rows; ++i)
    found.stats += index.search(queries.row_range(i, 1), {.k = k, .effort = effort}, *scratch,
                                std::span(found.hits).subspan(i, 1));
  return found;
}

// The k best keys of one query by plain arithmetic in f64.
inline std::vector<Hit> exact(MatView<const float> keys, const float* query, std::size_t k) {
  std::vector<Hit> all;
  for (std::size_t i = 0; i < keys.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < keys.cols; ++j)
      sum += static_cast<double>(query[j]) * keys.row(i)[j];
    all.push_back({static_cast<std::uint32_t>(i), static_cast<float>(sum)});
  }
  std::sort(all.begin(), all.end(), better);
  all.resize(std::min(k, all.size()));
  return all;
}

// Mean share of the exact top k among the hits. Costs a scan per query.
inline double recall(MatView<const float> keys, MatView<const float> queries, const Found& found,
                     std::size_t k) {
  double sum = 0;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const auto truth = exact(keys, queries.row(i), k);
    for (const Hit& hit : found.hits[i])
      sum += std::any_of(truth.begin(), truth.end(), [&](const Hit& t) { return t.id == hit.id; });
  }
  return sum / static_cast<double>(k * queries.rows);
}

// Recall and scanned share of the test queries, in one search.
struct Point {
  double recall, scanned;
};
inline Point measure(const OodSet& set, const std::string& spec, int k, int effort) {
  const auto index = build(spec, set.keys.view(), set.train.view());
  const auto found = search(*index, set.test.view(), k, effort);
  const double all = static_cast<double>(set.keys.rows() * set.test.rows());
  return {recall(set.keys.view(), set.test.view(), found, static_cast<std::size_t>(k)),
          static_cast<double>(found.stats.distances) / all};
}

inline Matrix<float> identity(std::size_t n) {
  Matrix<float> m(n, n);
  for (std::size_t i = 0; i < n; ++i) m.row(i)[i] = 1;
  return m;
}

}  // namespace ra::index::testing
