// SPDX-License-Identifier: Apache-2.0
// Which nodes one search has seen. A new search bumps the epoch instead of clearing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ra::index {

class VisitedSet {
 public:
  void start(std::size_t nodes) {
    if (marks_.size() < nodes) {
      marks_.assign(nodes, 0);
      epoch_ = 0;
    }
    if (++epoch_ == 0) {  // 16 bits wrapped: the one time a search pays for clearing
      std::fill(marks_.begin(), marks_.end(), std::uint16_t{0});
      epoch_ = 1;
    }
  }
  // True the first time that this search sees `node`.
  bool insert(std::uint32_t node) {
    if (marks_[node] == epoch_) return false;
    marks_[node] = epoch_;
    return true;
  }

 private:
  std::vector<std::uint16_t> marks_;
  std::uint16_t epoch_ = 0;
};

}  // namespace ra::index
