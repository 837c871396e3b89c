// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/exact_attention.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::stats {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMap = Eigen::Map<RowMatrix, Eigen::Unaligned, Eigen::OuterStride<>>;
using FloatMap =
    Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
               Eigen::Unaligned, Eigen::OuterStride<>>;

constexpr std::size_t kPanel = 2048;  // keys or values widened to f64 at a time

Eigen::Index idx(std::size_t i) { return static_cast<Eigen::Index>(i); }

RowMatrix widened(MatView<const float> m) {
  return FloatMap(m.data, idx(m.rows), idx(m.cols), Eigen::OuterStride<>(idx(m.stride)))
      .cast<double>();
}

RowMap map(MatView<double> m) {
  return {m.data, idx(m.rows), idx(m.cols), Eigen::OuterStride<>(idx(m.stride))};
}

// out [m, keys] = queries [m, d] . keys^T, panel by panel.
void score(const RowMatrix& queries, MatView<const float> keys, MatView<double> out) {
  for (std::size_t i = 0; i < keys.rows; i += kPanel) {
    const std::size_t count = std::min(kPanel, keys.rows - i);
    map(out).middleCols(idx(i), idx(count)).noalias() =
        queries * widened(keys.row_range(i, count)).transpose();
  }
}

// weights [m, rows of values] . values [.., dv], panel by panel.
RowMatrix weighted_values(MatView<double> weights, MatView<const float> values) {
  RowMatrix out = RowMatrix::Zero(idx(weights.rows), idx(values.cols));
  for (std::size_t i = 0; i < values.rows; i += kPanel) {
    const std::size_t count = std::min(kPanel, values.rows - i);
    out.noalias() +=
        map(weights).middleCols(idx(i), idx(count)) * widened(values.row_range(i, count));
  }
  return out;
}

void store(const RowMatrix& from, Eigen::Index row, float* to) {
  for (Eigen::Index j = 0; j < from.cols(); ++j) to[j] = static_cast<float>(from(row, j));
}

// Part of the reference that comes from S, for the queries of one block; returns its normalised
// output [m, dv], or nothing without values.
RowMatrix attend_static(const HeadData& head, std::size_t first, std::size_t count,
                        ExactReference& r) {
  const std::size_t s = head.static_keys.rows;
  RowMatrix scores(idx(count), idx(s));
  const MatView<double> view(scores.data(), count, s);
  score(widened(head.queries.row_range(first, count)), head.static_keys, view);
  std::vector<double> sums(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t visible = head.visible.empty() ? 0 : head.visible[first + i];
    RA_CHECK(visible <= s);
    const SoftmaxScale w = to_weights({view.row(i), visible}, head.scale);
    std::fill(view.row(i) + visible, view.row(i) + s, 0.0);
    r.lse_static[first + i] = w.lse();
    sums[i] = w.sum;
  }
  if (r.output.rows() == 0) return {};
  RowMatrix out = weighted_values(view, head.static_values);
  for (std::size_t i = 0; i < count; ++i) {
    if (sums[i] > 0) out.row(idx(i)) /= sums[i];
    store(out, idx(i), r.static_output.row(first + i));
  }
  return out;
}

}  // namespace

double SoftmaxScale::lse() const { return sum > 0 ? max + std::log(sum) : max; }

SoftmaxScale to_weights(std::span<double> scores, double scale) {
  SoftmaxScale w{-std::numeric_limits<double>::infinity(), 0};
  if (scores.empty()) return w;
  w.max = scale * *std::max_element(scores.begin(), scores.end());
  for (double& s : scores) w.sum += s = std::exp(scale * s - w.max);
  return w;
}

void for_each_score_block(MatView<const float> queries, MatView<const float> keys,
                          const std::function<void(std::size_t, MatView<double>)>& body) {
  RA_CHECK(keys.rows > 0 && queries.cols == keys.cols);
  const std::size_t rows = std::clamp<std::size_t>((std::size_t{4} << 20) / keys.rows, 1, 64);
  const std::size_t blocks = (queries.rows + rows - 1) / rows;
  parallel_for(blocks, [&](std::size_t b, int) {
    const std::size_t first = b * rows, count = std::min(rows, queries.rows - first);
    RowMatrix scores(idx(count), idx(keys.rows));
    const MatView<double> view(scores.data(), count, keys.rows);
    score(widened(queries.row_range(first, count)), keys, view);
    body(first, view);
  });
}

void exact_top_k(std::span<const double> scores, std::size_t k, std::size_t skip,
                 std::uint32_t* ids, float* best) {
  const std::size_t n = scores.size();
  RA_CHECK(k >= 1 && k + (skip < n ? 1 : 0) <= n);
  using Entry = std::pair<float, std::uint32_t>;
  const auto better = [](const Entry& a, const Entry& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  };
  std::vector<Entry> heap;  // the k best so far, the worst on top
  heap.reserve(k);
  for (std::size_t i = 0; i < n; ++i) {
    const auto s = static_cast<float>(scores[i]);
    // Ids ascend, so an equal score never displaces an earlier one.
    if (i == skip || (heap.size() == k && !(s > heap.front().first))) continue;
    if (heap.size() == k) {
      std::pop_heap(heap.begin(), heap.end(), better);
      heap.pop_back();
    }
    heap.emplace_back(s, static_cast<std::uint32_t>(i));
    std::push_heap(heap.begin(), heap.end(), better);
  }
  std::sort_heap(heap.begin(), heap.end(), better);
  for (std::size_t i = 0; i < k; ++i) {
    best[i] = heap[i].first;
    ids[i] = heap[i].second;
  }
}

ExactReference exact_reference(const HeadData& head, std::size_t k,
                               std::span<const std::uint32_t> skip) {
  const std::size_t m = head.queries.rows, n = head.keys.rows;
  RA_CHECK(skip.empty() || skip.size() == m);
  RA_CHECK(head.visible.empty() || head.visible.size() == m);
  const bool outputs = head.values.rows > 0;
  ExactReference r;
  r.k = k;
  r.ids.resize(m * k);
  r.scores.resize(m * k);
  r.max_abs.resize(m);
  r.lse_keys.resize(m);
  r.lse_static.assign(m, -std::numeric_limits<double>::infinity());
  if (outputs) {
    RA_CHECK(head.values.rows == n && head.static_values.rows == head.static_keys.rows);
    r.output = Matrix<float>(m, head.values.cols);
    r.static_output = Matrix<float>(m, head.values.cols);
  }
  for_each_score_block(head.queries, head.keys, [&](std::size_t first, MatView<double> block) {
    std::vector<double> sums(block.rows);
    for (std::size_t i = 0; i < block.rows; ++i) {
      const std::size_t query = first + i;
      const std::span<double> scores(block.row(i), n);
      exact_top_k(scores, k, skip.empty() ? n : skip[query], &r.ids[query * k],
                  &r.scores[query * k]);
      for (const double s : scores)
        r.max_abs[query] = std::max(r.max_abs[query], static_cast<float>(std::abs(s)));
      const SoftmaxScale w = to_weights(scores, head.scale);
      r.lse_keys[query] = w.lse();
      sums[i] = w.sum;
    }
    const bool has_static = head.static_keys.rows > 0;
    RowMatrix from_static;
    if (has_static) from_static = attend_static(head, first, block.rows, r);
    if (!outputs) return;
    RowMatrix out = weighted_values(block, head.values);
    for (std::size_t i = 0; i < block.rows; ++i) {
      const Eigen::Index row = idx(i);
      out.row(row) /= sums[i];
      if (has_static) {  // log-sum-exp merge of the two sets (paper, section 3.3)
        const double share = 1 / (1 + std::exp(r.lse_keys[first + i] - r.lse_static[first + i]));
        out.row(row) = share * from_static.row(row) + (1 - share) * out.row(row);
      }
      store(out, row, r.output.row(first + i));
    }
  });
  return r;
}

}  // namespace ra::stats
