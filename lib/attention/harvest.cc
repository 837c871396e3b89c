// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/harvest.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "lib/core/error.h"
#include "lib/index/best_rows.h"
#include "lib/index/top_k.h"

namespace ra::attention {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// The best of each list and of the rows [any, dim], of which the first has id first_id, for its row
// of q: at most k.
void merge_found(index::RowSearch& search, MatView<const float> q, MatView<const float> rows,
                 std::uint32_t first_id, std::size_t k, std::span<std::vector<index::Hit>> lists) {
  const std::size_t m = std::min(k, rows.rows);
  std::vector<std::uint32_t> ids(q.rows * m);
  std::vector<float> scores(ids.size());
  search.best_rows(q, rows, nullptr, m, ids.data(), scores.data());
  for (std::size_t i = 0; i < q.rows; ++i) {
    for (std::size_t j = i * m; j < (i + 1) * m; ++j)
      lists[i].push_back({first_id + ids[j], scores[j]});
    std::sort(lists[i].begin(), lists[i].end(), index::better);
    lists[i].resize(std::min(k, lists[i].size()));
  }
}

}  // namespace

Harvest::Harvest(std::vector<int> layers, int kv_heads, int group, std::size_t k)
    : layers_(std::move(layers)),
      kv_heads_(size(kv_heads)),
      group_(size(group)),
      k_(k),
      lists_(layers_.size() * kv_heads_ * group_) {}

void Harvest::gather(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                     const QueriesOf& queries, index::BuildClock& clock, std::int64_t& distances,
                     index::RowSearch* search) {
  end = std::max(end, sink);
  const std::int64_t known = std::max(end_, sink), filled = cache.size();
  RA_CHECK(end_ == 0 || (sink == sink_ && end >= end_));
  std::atomic<std::int64_t> total{0};
  clock.parallel(layers_.size() * kv_heads_, 1, [&](std::size_t task, std::size_t) {
    const int layer = layers_[task / kv_heads_];
    const kernels::KvRows rows = cache.rows(layer, static_cast<int>(task % kv_heads_));
    const Matrix<float> keys = model::widen_keys(rows, sink, end);
    index::BestRows best;
    // Queries [first, last), and the keys from `from` on.
    const auto offer = [&](const Matrix<float>& q, std::vector<List>& lists, std::size_t first,
                           std::size_t last, std::int64_t from) {
      const MatView<const float> fresh = keys.view().row_range(size(from - sink), size(end - from));
      if (index::RowSearch::takes(search, k_) && first < last && fresh.rows > 0) {
        merge_found(*search, q.view().row_range(first, last - first), fresh,
                    static_cast<std::uint32_t>(from - sink), k_,
                    std::span(lists).subspan(first, last - first));
        total += static_cast<std::int64_t>((last - first) * fresh.rows);
        return;
      }
      for (std::size_t at = first; at < last && fresh.rows > 0; at += index::BestRows::kTile) {
        const std::size_t count = std::min(index::BestRows::kTile, last - at);
        // Training queries are kept in bf16 (TrainQueries).
        best.reset(q.view().row_range(at, count), k_, rows.type == kernels::KvType::kBf16);
        for (std::size_t i = 0; i < count; ++i) best.of(i).reset(k_, lists[at + i]);
        best.offer(fresh, nullptr, static_cast<std::uint32_t>(from - sink));
        total += static_cast<std::int64_t>(count * fresh.rows);
        for (std::size_t i = 0; i < count; ++i) {
          const auto kept = best.of(i).kept();
          lists[at + i].assign(kept.begin(), kept.end());
        }
      }
    };
    for (std::size_t i = 0; i < group_; ++i) {
      const std::size_t head = task % kv_heads_ * group_ + i;
      std::vector<List>& lists = lists_[task * group_ + i];
      const Matrix<float> q = queries(layer, static_cast<int>(head), 0, filled);
      const std::size_t old = lists.size();
      RA_CHECK(q.rows() >= old);
      lists.resize(q.rows());
      for (std::size_t row = old; row < q.rows(); ++row) lists[row].reserve(k_);
      offer(q, lists, 0, old, known);
      offer(q, lists, old, q.rows(), sink);
    }
  });
  distances += total;
  sink_ = sink;
  end_ = end;
}

index::KnnTable Harvest::take(std::size_t layer, int first_head, int heads) {
  index::KnnTable table{.queries = 0, .k = std::min(k_, size(end_ - sink_)), .ids = {}};
  for (std::size_t i = 0; i < size(heads); ++i) {
    for (List& list : lists_[layer * kv_heads_ * group_ + size(first_head) + i]) {
      std::sort(list.begin(), list.end(), index::better);
      for (const index::Hit& hit : list) table.ids.push_back(hit.id);
      table.ids.resize(++table.queries * table.k);
    }
    lists_[layer * kv_heads_ * group_ + size(first_head) + i] = {};
  }
  return table;
}

std::size_t Harvest::bytes_of(std::size_t queries, std::size_t k) {
  return queries * (sizeof(List) + k * sizeof(index::Hit));
}

}  // namespace ra::attention
