// SPDX-License-Identifier: Apache-2.0
// RowSearch as its contract says it: all products in double, sorted.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "lib/index/row_search.h"
#include "lib/index/top_k.h"

namespace ra::testing {

class PlainRowSearch : public index::RowSearch {
 public:
  std::atomic<int> calls = 0;

  void best_rows(MatView<const float> queries, MatView<const float> rows, const float* bias,
                 std::size_t m, std::uint32_t* ids, float* scores) override {
    ++calls;
    m = std::min(m, rows.rows);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      std::vector<index::Hit> all;
      for (std::size_t r = 0; r < rows.rows; ++r) {
        double score = bias == nullptr ? 0.0 : static_cast<double>(bias[r]);
        for (std::size_t j = 0; j < rows.cols; ++j)
          score += static_cast<double>(queries.row(q)[j]) * static_cast<double>(rows.row(r)[j]);
        all.push_back({static_cast<std::uint32_t>(r), static_cast<float>(score)});
      }
      std::sort(all.begin(), all.end(), index::better);
      for (std::size_t i = 0; i < m; ++i) {
        ids[q * m + i] = all[i].id;
        scores[q * m + i] = all[i].score;
      }
    }
  }
};

}  // namespace ra::testing
