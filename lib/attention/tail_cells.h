// SPDX-License-Identifier: Apache-2.0
// What attention to the keys of one KV head that are not read comes to, cell by cell (after the
// estimation zone of RetroInfer, arXiv 2505.02922). A cell knows how many keys it has, their mean
// and variance in each coordinate and the mean of their values. Of a query's scores in it that says
// mean m and, taking coordinates as independent, variance v; the keys that were retrieved are taken
// out of both. The n that are left are given the weight n exp(m + v/4), in logits, and none of them
// more than the worst key retrieved: without their best, scores are no longer normal, whose
// n exp(m + v/2) would be two to five times the truth here, and n exp(m) a quarter of it
// (experiments/06-budgets).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/partial.h"
#include "lib/core/matrix.h"
#include "lib/index/query_metric.h"
#include "lib/index/vector_index.h"

namespace ra::attention {

inline constexpr std::size_t kTailCellKeys = 256;  // keys of a cell, on average

class TailCells {
 public:
  struct Scratch {
    std::vector<float> squares, means, variances;  // of the rows of q; [rows, cells]
    struct Taken {
      float count = 0, sum = 0, squares = 0;  // of deviations from the cell's mean score
    };
    std::vector<Taken> taken;  // [cells]
  };

  // Keys [n, head_dim] with values [n, value_dim] that follow those before, clustered alone in the
  // metric of `train`; without it, of the keys before.
  void append(MatView<const float> keys, MatView<const float> values,
              std::span<const index::QuerySet> train, std::uint64_t seed);
  // Forgets the keys from n on; a piece was once appended there.
  void shrink(std::size_t n);

  std::size_t keys() const { return cell_of_.size(); }
  std::size_t cells() const { return counts_.size(); }
  std::size_t bytes() const;       // of everything
  std::size_t read_bytes() const;  // of a call of estimate
  static std::size_t bytes_of(std::size_t keys, std::size_t dim, std::size_t value_dim);

  // Merges into out[r] what the keys that hits[r] does not hold come to for row r of
  // q [rows, head_dim]. A key's logit is its score * scale; hits of other keys are passed over.
  void estimate(MatView<const float> q, float scale,
                std::span<const std::span<const index::Hit>> hits, Scratch& scratch,
                std::span<kernels::Partial> out) const;

 private:
  index::QueryMetric metric_;           // of the last piece
  std::vector<std::uint32_t> cell_of_;  // [keys]
  std::vector<std::uint32_t> pieces_;   // cells before each piece
  std::vector<float> counts_;           // [cells]
  // [cells, head_dim] and [cells, value_dim], grown at the end.
  std::vector<float> means_, variances_, values_;
  std::size_t dim_ = 0, value_dim_ = 0;
};

}  // namespace ra::attention
