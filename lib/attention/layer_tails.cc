// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/layer_tails.h"

#include <algorithm>
#include <chrono>

#include "lib/core/clock.h"
#include "lib/core/parallel.h"

namespace ra::attention {
namespace {

constexpr std::int64_t kPieceKeys = 8192;

}  // namespace

LayerTails::LayerTails(const AttentionShape& shape)
    : shape_(shape),
      cells_(static_cast<std::size_t>(shape.layers) * static_cast<std::size_t>(shape.kv_heads)) {}

std::size_t LayerTails::slot(int layer, int kv_head) const {
  return static_cast<std::size_t>(layer) * static_cast<std::size_t>(shape_.kv_heads) +
         static_cast<std::size_t>(kv_head);
}

// The cells of a KV head up to position `end`.
void LayerTails::append(const model::KvCache& cache, int layer, int kv_head, std::int64_t end,
                        const TrainingOf& training, std::uint64_t seed) {
  TailCells& cells = cells_[slot(layer, kv_head)];
  const kernels::KvRows rows = cache.rows(layer, kv_head);
  for (std::int64_t from = sink_ + static_cast<std::int64_t>(cells.keys()); from < end;) {
    const std::int64_t to = std::min(end, from + kPieceKeys);
    const HeldTraining held(training, layer, kv_head * shape_.group(), shape_.group(), from, to);
    cells.append(model::widen_keys(rows, from, to).view(),
                 model::widen_values(rows, from, to).view(), held.views, seed);
    from = to;
  }
}

void LayerTails::build(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
                       const TrainingOf& training, std::uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  sink_ = sink;
  built_end_ = std::max(sink, end);
  for (TailCells& cells : cells_) cells = {};
  parallel_for(cells_.size(), [&](std::size_t i, int) {
    const int layer = static_cast<int>(i) / shape_.kv_heads;
    if (shape_.has_index(layer))
      append(cache, layer, static_cast<int>(i) % shape_.kv_heads, built_end_, training, seed);
  });
  bytes_ = 0;
  for (const TailCells& cells : cells_) bytes_ += cells.bytes();
  build_ms_ = ms_since(start);
}

void LayerTails::follow(const model::KvCache& cache, int layer, std::int64_t window) {
  constexpr auto kKeys = static_cast<std::int64_t>(kTailCellKeys);
  for (int kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
    TailCells& cells = cells_[slot(layer, kv_head)];
    const auto end = [&] { return sink_ + static_cast<std::int64_t>(cells.keys()); };
    if (window < end()) cells.shrink(static_cast<std::size_t>(built_end_ - sink_));
    while (window - end() >= kKeys) append(cache, layer, kv_head, end() + kKeys, {}, 0);
  }
}

}  // namespace ra::attention
