// SPDX-License-Identifier: Apache-2.0
// The tail cells of all layers of a model over its KV cache: built after a prefill, and followed on
// as the window moves.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/attention/layer_indexes.h"
#include "lib/attention/tail_cells.h"

namespace ra::attention {

class LayerTails {
 public:
  explicit LayerTails(const AttentionShape& shape);

  // Cells of positions [sink, end), learnt 8,192 at a time. Layers with a sliding window are left
  // out.
  void build(const model::KvCache& cache, std::int64_t sink, std::int64_t end,
             const TrainingOf& training, std::uint64_t seed);
  // Positions that have left the window, which now begins at `window`, become a cell as soon as
  // there are enough of them; where it has moved back, the cells are those of the build again.
  void follow(const model::KvCache& cache, int layer, std::int64_t window);

  // Key i of the cells is at position sink + i.
  const TailCells& at(int layer, int kv_head) const { return cells_[slot(layer, kv_head)]; }
  double build_ms() const { return build_ms_; }
  std::size_t bytes() const { return bytes_; }  // of the build

 private:
  std::size_t slot(int layer, int kv_head) const;
  void append(const model::KvCache& cache, int layer, int kv_head, std::int64_t end,
              const TrainingOf& training, std::uint64_t seed);

  AttentionShape shape_;
  std::int64_t sink_ = 0, built_end_ = 0;
  double build_ms_ = 0;
  std::size_t bytes_ = 0;
  std::vector<TailCells> cells_;  // [layer, kv_head]
};

}  // namespace ra::attention
