// SPDX-License-Identifier: Apache-2.0
// The k best of a stream of scores: larger is better, ties to the smaller id.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/ops.h"
#include "lib/index/vector_index.h"

namespace ra::index {

inline bool better(const Hit& a, const Hit& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

class TopK {
 public:
  void reset(std::size_t k) {
    k_ = k;
    heap_.clear();
    floor_ =
        k == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  }
  void push(float score, std::uint32_t id) {
    if (!(score >= floor_)) return;  // also drops NaN
    const Hit hit{id, score};
    if (heap_.size() < k_) {
      heap_.push_back(hit);
      std::push_heap(heap_.begin(), heap_.end(), better);
      if (heap_.size() == k_) floor_ = heap_.front().score;
    } else if (k_ > 0 && better(hit, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.back() = hit;
      std::push_heap(heap_.begin(), heap_.end(), better);
      floor_ = heap_.front().score;
    }
  }
  // scores[j] belongs to id first_id + j.
  void push_range(const float* scores, std::size_t n, std::uint32_t first_id) {
    push_entering(scores, n,
                  [&](std::size_t j) { return first_id + static_cast<std::uint32_t>(j); });
  }
  void push_range(const float* scores, std::size_t n, const std::uint32_t* ids) {
    push_entering(scores, n, [&](std::size_t j) { return ids[j]; });
  }
  // Best first; the heap is empty afterwards.
  void finish(std::vector<Hit>& out) {
    std::sort(heap_.begin(), heap_.end(), better);
    out.assign(heap_.begin(), heap_.end());
    heap_.clear();
  }

 private:
  static constexpr std::size_t kChunk = 256;

  // Once the heap is full few scores can enter: they are picked out before any is pushed.
  template <class IdOf>
  void push_entering(const float* scores, std::size_t n, IdOf id_of) {
    std::uint32_t at[kChunk];
    for (std::size_t j = 0; j < n; j += kChunk) {
      const std::size_t entering =
          kernels::ops().at_least(scores + j, std::min(kChunk, n - j), floor_, kChunk, at);
      for (std::size_t i = 0; i < entering; ++i) push(scores[j + at[i]], id_of(j + at[i]));
    }
  }

  std::vector<Hit> heap_;  // the worst kept hit at the front
  std::size_t k_ = 0;
  float floor_ = 0;  // scores below cannot enter
};

}  // namespace ra::index
