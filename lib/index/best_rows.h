// SPDX-License-Identifier: Apache-2.0
// The best rows of each of some queries, among rows that are offered piece by piece: matrix
// products of all with all, and of their scores only those kept that may still be among the best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

// The m best of a stream of scores, ties to the smaller id. Candidates pile up to twice as many and
// are then cut: with m in the tens, and many queries at a time, a heap (top_k.h) takes four times
// as long.
class BestOfStream {
 public:
  // `so_far`, at most m, are the best of what was offered before.
  void reset(std::size_t m, std::span<const Hit> so_far = {});
  // scores[j] belongs to id first_id + j.
  void push_range(const float* scores, std::size_t n, std::uint32_t first_id);
  // At most m, in any order.
  std::span<const Hit> kept();
  // Best first.
  std::span<const Hit> ranked();

 private:
  void cut();

  std::size_t m_ = 1;
  float floor_ = 0;  // scores below cannot enter
  std::vector<Hit> kept_;
};

class BestRows {
 public:
  // Queries of a tile, at most: with few columns, packing a chunk of rows costs as much as its
  // product with a hundred queries.
  static constexpr std::size_t kTile = 512;

  // Forgets all. The queries [n <= kTile, dim] stay where they are while rows are offered. With
  // `narrow` both sides are rounded to bf16 at levels avx512 and amx: exact where they hold values
  // of bf16.
  void reset(MatView<const float> queries, std::size_t m, bool narrow);
  BestOfStream& of(std::size_t query) { return best_[query]; }

  // Scores query . row + bias[row] (`bias` may be null); row i has id first_id + i.
  void offer(MatView<const float> rows, const float* bias, std::uint32_t first_id);

 private:
  MatView<const float> queries_;
  bool narrow_ = false;
  AlignedBuffer<std::byte> packed_, scratch_;
  AlignedBuffer<float> scores_;
  std::vector<BestOfStream> best_;
};

}  // namespace ra::index
