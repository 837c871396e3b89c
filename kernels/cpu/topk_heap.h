// SPDX-License-Identifier: Apache-2.0
// The k best so far as a heap with the worst on top. In an anonymous namespace: sources of every
// level include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/topk.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

class TopkHeap {
 public:
  explicit TopkHeap(const TopkArgs& a)
      : ids_(a.out_ids), scores_(a.out_scores), capacity_(a.k < a.n ? a.k : a.n) {}

  RA_ALWAYS_INLINE bool is_full() const { return size_ == capacity_; }
  RA_ALWAYS_INLINE std::size_t capacity() const { return capacity_; }
  // The lowest score kept; a later score below it cannot enter a full heap.
  RA_ALWAYS_INLINE float worst() const { return scores_[0]; }

  RA_ALWAYS_INLINE void offer(float score, std::uint32_t id) {
    if (!(score == score)) score = -std::numeric_limits<float>::infinity();  // NaN
    if (!is_full()) {
      insert(score, id);
    } else if (is_better(score, id, scores_[0], ids_[0])) {
      sink(0, size_, score, id);
    }
  }

  // Heap sort: the worst goes to the end, again and again.
  void sort() {
    for (std::size_t end = size_; end > 1; --end) {
      const float score = scores_[end - 1];
      const std::uint32_t id = ids_[end - 1];
      scores_[end - 1] = scores_[0];
      ids_[end - 1] = ids_[0];
      sink(0, end - 1, score, id);
    }
  }

 private:
  static bool is_better(float a, std::uint32_t a_id, float b, std::uint32_t b_id) {
    return a > b || (a == b && a_id < b_id);
  }

  void insert(float score, std::uint32_t id) {
    std::size_t at = size_++;
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!is_better(scores_[parent], ids_[parent], score, id)) break;
      scores_[at] = scores_[parent];
      ids_[at] = ids_[parent];
      at = parent;
    }
    scores_[at] = score;
    ids_[at] = id;
  }

  // Places an entry at or below the free place `at` of a heap of n.
  void sink(std::size_t at, std::size_t n, float score, std::uint32_t id) {
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= n) break;
      if (child + 1 < n &&
          is_better(scores_[child], ids_[child], scores_[child + 1], ids_[child + 1]))
        ++child;
      if (!is_better(score, id, scores_[child], ids_[child])) break;
      scores_[at] = scores_[child];
      ids_[at] = ids_[child];
      at = child;
    }
    scores_[at] = score;
    ids_[at] = id;
  }

  std::uint32_t* ids_;
  float* scores_;
  std::size_t capacity_, size_ = 0;
};

RA_ALWAYS_INLINE std::uint32_t id_of(const TopkArgs& a, std::size_t i) {
  return a.ids != nullptr ? a.ids[i] : static_cast<std::uint32_t>(i);
}

}  // namespace
}  // namespace ra::kernels
